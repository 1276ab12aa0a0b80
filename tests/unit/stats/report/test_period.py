from __future__ import annotations

from dbopt.stats.report.period import Period
from tests.unit.stats.report.made import SERVER, frame, period, pulse, waits

COUNTERS = ("seq_scan", "idx_scan")
NAMED = {(7,): {"relname": "item"}}


def tables(minute: float, *values: int | None, **more: object) -> object:
    return frame("tables", minute, {(7,): values}, COUNTERS, ("size_bytes",), **more)  # type: ignore[arg-type]


def add(made: Period, *frames: object) -> Period:
    return made.add_all(frames)  # type: ignore[arg-type]


def test_frames_add_up_and_gauges_are_the_last() -> None:
    made = add(period(), tables(1, 2, 10, 800, labels=NAMED), tables(2, 3, None, 900))
    (row,) = made.rows("tables")
    assert (5, 10) == (row.get("seq_scan"), row.get("idx_scan"))
    assert (900, 100) == (row.gauge("size_bytes"), row.growth("size_bytes"))
    assert "item" == row.labels["relname"]
    assert 120.0 == made.covered("tables")


def test_what_was_never_measured_is_not_zero() -> None:
    (row,) = add(period(), tables(1, 2, None, None)).rows("tables")
    assert row.get("idx_scan") is None
    assert 0 == row.n("idx_scan")
    assert row.growth("size_bytes") is None


def test_a_prelude_tells_how_things_stood() -> None:
    made = period()
    made.add(frame("tables", -30, {}, COUNTERS, ("size_bytes",), base={(7,): (90, 80, 100)}))
    made.add(frame("tables", -10, {(7,): (5, 5, 150)}, COUNTERS, ("size_bytes",)))
    (row,) = made.rows("tables")
    assert (0, 0) == (row.get("seq_scan"), row.get("idx_scan"))
    add(made, tables(1, 1, 1, 180))
    (row,) = made.rows("tables")
    assert (1, 180, 80) == (row.get("seq_scan"), row.gauge("size_bytes"), row.growth("size_bytes"))


def test_what_is_gone_is_left_out_unless_it_did_something() -> None:
    made = add(
        period(),
        tables(1, 2, 2, 100),
        frame("tables", 2, {}, COUNTERS, ("size_bytes",), gone=((7,),)),
    )
    assert 1 == len(made.rows("tables"))
    slots = ("retained_bytes",)
    made.add(frame("replication_slots", 1, {("a",): (5,)}, (), slots))
    made.add(frame("replication_slots", 2, {}, (), slots, gone=(("a",),)))
    assert () == made.rows("replication_slots")


def test_columns_that_change_with_a_version() -> None:
    made = period()
    made.add(frame("wal", 1, {(): (10, 3)}, ("wal_bytes", "wal_sync"), target=SERVER))
    made.add(frame("wal", 2, {(): (4, 5)}, ("wal_fpi", "wal_bytes"), target=SERVER))
    row = made.one("wal")
    assert row is not None
    assert (15, 3, 4) == (row.get("wal_bytes"), row.get("wal_sync"), row.get("wal_fpi"))


def test_the_ends_belong_to_the_period_at_its_end_alone() -> None:
    made = add(period(), tables(0, 1, 1, 1), tables(60, 2, 2, 2), tables(61, 4, 4, 4))
    assert 2 == made.rows("tables")[0].n("seq_scan")


def test_the_interval_of_samples() -> None:
    made = period()
    assert 1.0 == made.sample_interval
    made.add_all([pulse(1), waits(1, {}, seconds=12)])
    assert 5.0 == made.sample_interval
