from __future__ import annotations

from dbopt.sql.findings import Severity
from dbopt.stats.report.build import build
from dbopt.stats.report.model import Remark, Report
from dbopt.stats.report.period import Period
from tests.unit.stats.report.made import SERVER, SHOP, frame, period, pulse, waits


def remarks(made: Period, cpus: int = 0) -> dict[str, Remark]:
    return {remark.rule: remark for remark in build(made, "db1:5432", cpus=cpus).remarks}


def test_the_day_s_story_is_told_first(day: Report) -> None:
    first, second = day.remarks[:2]
    assert ("slower", Severity.CRITICAL) == (first.rule, first.severity)
    assert "Its plan changed at 2026-03-02 11:59 UTC" in first.evidence
    assert ("locks", "blocking") == (second.rule, second.section)
    assert "ALTER TABLE stock" in second.evidence
    assert 5 == len(day.remarks)
    assert day.verdict.startswith("2 critical, 3 to look at. First: ")
    severities = [remark.severity for remark in day.remarks]
    assert sorted(severities, reverse=True) == severities


def test_a_quiet_hour() -> None:
    made = period().add_all([pulse(minute) for minute in range(1, 61)])
    report = build(made, "db1:5432")
    assert () == report.remarks
    assert "Nothing stands out in this period." == report.verdict
    assert "There is no history of this time." == build(period(), "db1:5432").verdict


def database(**counters: int) -> Period:
    row = {(5,): tuple(counters.values())}
    made = frame("database", 2, row, tuple(counters), target=SERVER)
    return period().add_all([pulse(1), made])


def test_cache_temporary_files_deadlocks_checksums_rollbacks() -> None:
    assert "cache" in remarks(database(blks_hit=100_000, blks_read=100_000))
    assert "cache" not in remarks(database(blks_hit=100, blks_read=100))
    assert "temp" in remarks(database(temp_bytes=2 << 30))
    assert "1 deadlock" == remarks(database(deadlocks=1))["deadlocks"].title
    assert Severity.CRITICAL is remarks(database(checksum_failures=1))["checksums"].severity
    assert "rollbacks" in remarks(database(xact_commit=1000, xact_rollback=1000))


def test_more_than_the_cpus_can_do() -> None:
    made = period().add_all([waits(1, {("", "", 5): 600})])
    assert "cpu" in remarks(made, cpus=8)
    assert "cpu" not in remarks(made, cpus=16)
    assert "cpu" not in remarks(made)


def test_locks_without_a_known_blocker() -> None:
    made = period().add_all([waits(1, {("Lock", "transactionid", 5): 600})])
    made.add(frame("blocking", 1, {(5, 0, "ShareLock", ""): (600,)}, ("samples",), target=SERVER))
    assert "a session without a running statement" in remarks(made)["locks"].evidence


def gauges(view: str, target: object, key: tuple[int | str, ...], **values: int) -> Period:
    made = frame(view, 1, {key: tuple(values.values())}, (), tuple(values), target=target)  # type: ignore[arg-type]
    return period().add_all([pulse(1), made])


def test_what_runs_out() -> None:
    used = gauges("connections", SERVER, (), sessions=98, max_connections=100)
    assert Severity.CRITICAL is remarks(used)["connections"].severity
    slot = gauges("replication_slots", SERVER, ("s",), active=0, retained_bytes=20 << 30)
    assert "slot" in remarks(slot)
    old = gauges("database_storage", SERVER, (5,), xid_age=1_500_000_000)
    assert "wraparound" in remarks(old)
    assert "sequence" in remarks(gauges("sequences", SHOP, (9,), used_ppm=900_000, last_value=9))
    dead = gauges("tables", SHOP, (9,), n_live_tup=50_000, n_dead_tup=50_000, last_vacuum_at=0)
    assert "never vacuumed" in remarks(dead)["dead-rows"].evidence


def test_checkpoints_that_come_early() -> None:
    names = ("num_timed", "num_requested")
    early = frame("checkpointer", 1, {(): (2, 9)}, names, target=SERVER)
    assert "checkpoints" in remarks(period().add_all([pulse(1), early]))
