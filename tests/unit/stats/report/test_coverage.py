from __future__ import annotations

from dbopt.stats.report.coverage import changes_group, gaps, notes, unseen
from dbopt.store.frame import Event
from tests.unit.stats.report.made import SERVER, START, at, frame, period, pulse, statement


def test_no_gap_in_a_whole_hour() -> None:
    made = period().add_all([pulse(minute) for minute in range(1, 61)])
    assert [] == gaps(made)
    assert () == notes(made)


def test_gaps_at_the_ends_and_within() -> None:
    minutes = [*range(10, 30), *range(40, 50)]
    found = gaps(period().add_all([pulse(minute) for minute in minutes]))
    start = START.timestamp()
    assert [(0, 600), (1740, 2400), (2940, 3600)] == [(a - start, b - start) for a, b in found]


def test_all_of_it_is_a_gap_without_a_frame() -> None:
    ((since, until),) = gaps(period())
    assert 3600 == until - since


def test_resets_and_restarts_are_said() -> None:
    made = period().add_all([pulse(minute) for minute in range(1, 61)])
    made.add(frame("wal", 20, {}, ("wal_bytes",), reset=True, target=SERVER))
    made.events = [Event(at(30), SERVER, "server-restart", "db1:5432", "PostgreSQL was started.")]
    reset, restart = notes(made)
    assert reset.startswith("Counters began again at 2026-03-02 08:20 UTC: wal.")
    assert "2026-03-02 08:30 UTC: PostgreSQL was started." == restart


def test_what_was_not_examined_has_a_remedy() -> None:
    made = period().add_all([pulse(1), statement(1, 5, 10, 100)])
    data = {"remedy": "GRANT pg_monitor TO dbopt;"}
    made.events = [Event(at(1), SERVER, "not-examined", "stats-locks", "Locks are hidden.", data)]
    found = dict(unseen(made))
    assert "GRANT pg_monitor TO dbopt;" == found["Locks are hidden."]
    assert all(found.values())
    assert not any("pg_stat_statements" in words for words in found)
    assert any("pg_stat_statements" in words for words, _ in unseen(period()))


def test_io_times_that_nobody_measured() -> None:
    names = ("calls", "total_exec_us", "shared_blks_read", "shared_blk_read_us")
    labels = {(5, 10, 1): {"fingerprint": 5}}
    for measured, told in ((None, True), (0, False)):
        made = period()
        made.add(frame("statements", 1, {(5, 10, 1): (1, 9, 3, measured)}, names, labels=labels))
        assert told == any("track_io_timing" in remedy for _, remedy in unseen(made))


def test_events_in_order_of_time() -> None:
    made = period()
    made.events = [
        Event(at(9), SERVER, "setting-changed", "work_mem", "work_mem was 4MB, and is 1GB."),
        Event(at(2), SERVER, "plan-change", "00", "Index Scan is now Seq Scan."),
    ]
    (section,) = changes_group(made, 10).sections
    assert ["plan-change", "setting-changed"] == [row[1] for row in section.rows]
    assert () == changes_group(period(), 10).sections
