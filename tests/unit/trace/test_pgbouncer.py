from __future__ import annotations

from dbopt.trace.pgbouncer import DEFINITIONS, PgBouncerNames
from dbopt.trace.workers import Workers
from tests.unit.trace.observations import FakeClock, pool, worker


def test_pools_have_pgbouncers_names() -> None:
    clock = FakeClock()
    workers = Workers(lambda: 0, stale_after=15.0, clock=clock)
    one = pool(cl_active=1, cl_waiting=2, maxwait=0.5, xact_count=7, wait_time_us=2_000_000.0)
    workers.observed(0, worker(100, one, clients=4))
    names = PgBouncerNames(workers)
    found = {(sample.name, sample.labels): sample.value for sample in names.samples()}
    assert {definition.name for definition in DEFINITIONS} == {name for name, _ in found}
    assert 1 == found["pgbouncer_up", ()]
    assert 4 == found["pgbouncer_used_clients", ()]
    assert 2 == found["pgbouncer_pools_client_waiting_connections", ("app", "alice")]
    assert 0.5 == found["pgbouncer_pools_client_maxwait_seconds", ("app", "alice")]
    assert 7 == found["pgbouncer_stats_sql_transactions_pooled_total", ("app",)]
    assert 2.0 == found["pgbouncer_stats_client_wait_seconds_total", ("app",)]
    clock.now += 60  # the worker is gone: its gauges go, what it counted stays
    gone = {(sample.name, sample.labels): sample.value for sample in names.samples()}
    assert 0 == gone["pgbouncer_up", ()]
    assert ("pgbouncer_pools_client_waiting_connections", ("app", "alice")) not in gone
    assert 7 == gone["pgbouncer_stats_sql_transactions_pooled_total", ("app",)]
