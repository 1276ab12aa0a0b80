from __future__ import annotations

from dbopt.trace.totals import Totals
from tests.unit.trace.observations import count


def test_sums_and_latencies() -> None:
    totals = Totals()
    totals.add(count(times_us=(1000.0, 2000.0), queue_us=500.0, errors={"40001": 1}))
    totals.add(count(times_us=(6000.0,), database="b", errors={"40001": 1, "23505": 2}))
    shown = totals.to_dict()
    assert 3 == shown["calls"]
    assert 3 == shown["rows"]
    assert {"23505": 2, "40001": 2} == shown["errors"]
    assert (9.0, 3.0, 6.0) == (shown["total_ms"], shown["mean_ms"], shown["max_ms"])
    assert 0.167 == shown["queue_ms"]


def test_nothing_is_zero() -> None:
    assert 0 == Totals().to_dict()["calls"]
    assert 0.0 == Totals().to_dict()["p99_ms"]


def test_databases_and_sqlstates_are_bounded_and_the_sums_exact() -> None:
    totals = Totals()
    for n in range(300):
        totals.add(count(database=f"d{n}", errors={f"{n:05}": 1}))
    assert 51 == len(totals.by_database)
    assert 250 == totals.by_database["other"].count
    assert 101 == len(totals.errors)
    assert 300 == sum(totals.errors.values())
    assert 300 == totals.histogram.count
