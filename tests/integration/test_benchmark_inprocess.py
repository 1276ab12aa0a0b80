"""benchmarks/inprocess.py runs. What it measures is for a quiet machine to judge."""

from __future__ import annotations

from benchmarks.inprocess import bookkeeping, compared, run
from dbopt.demo.cluster import EmbeddedCluster


def test_the_cost_is_that_of_the_quiet_rounds() -> None:
    quiet = [((10.0, 20.0), (12.0, 21.0))] * 10
    loaded = [((99.0, 99.0), (12.0, 98.0)), ((10.0, 20.0), (500.0, 21.0))] * 5
    result = compared("x", quiet + loaded)
    assert (2.0, 1.0) == (result.cpu, result.wall)


def test_it_measures_every_way(pg_server: EmbeddedCluster) -> None:
    results = run(pg_server, queries=20, rounds=1)
    assert ["bookkeeping", "sync", "transaction", "async"] == [result.what for result in results]
    assert all(result.traced > 0 for result in results)


def test_the_bookkeeping_counts_what_it_times() -> None:
    # A session that fails does so fast: the number would say nothing.
    assert 0.1 < bookkeeping(number=200) < 1000
