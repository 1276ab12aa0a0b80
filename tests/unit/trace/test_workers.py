from __future__ import annotations

import pytest

from dbopt.trace.workers import Workers
from tests.unit.trace.observations import FakeClock, pool, worker


def workers(clock: FakeClock | None = None) -> Workers:
    return Workers(lambda: 0, stale_after=15.0, clock=clock or FakeClock())


def value(of: Workers, name: str, *labels: str) -> float:
    (found,) = [s.value for s in of.samples() if s.name == name and s.labels == labels]
    assert isinstance(found, int | float)
    return found


def test_pools_of_all_workers_are_added() -> None:
    seen = workers()
    one = pool(
        cl_active=1, sv_active=1, sv_idle=2, maxwait=0.5, xact_count=10, received=100, pins=2
    )
    two = pool(
        sv_reserve=1,
        cl_pinned=1,
        pins=1,
        query_timeouts=4,
        cl_active=2,
        cl_waiting=3,
        maxwait=2.5,
        xact_count=5,
        wait_time_us=1500.5,
    )
    seen.observed(0, worker(100, one, clients=4))
    seen.observed(1, worker(101, two, clients=5))
    expected = pool(
        cl_active=3, cl_waiting=3, sv_active=1, sv_idle=2, max_size=40, maxwait=2.5,
        xact_count=15, received=100, wait_time_us=1500.5, sv_reserve=1, cl_pinned=1, pins=3,
        query_timeouts=4,
    )  # fmt: skip
    assert [expected] == seen.pools()
    assert 9 == value(seen, "dbopt_gateway_clients")
    assert 2 == value(seen, "dbopt_gateway_workers")
    assert pytest.approx(0.0015005) == value(seen, "dbopt_pool_wait_seconds_total", "app", "alice")


def test_lanes_and_what_the_guard_could_not_judge() -> None:
    seen = workers()
    lane = pool(lane_limit=2, lane_active=1, lane_waiting=3, lane_waits=4, lane_wait_us=2_500_000.0)
    seen.observed(0, worker(100, lane, guard_unanswered=5, guard_unreadable=1))
    seen.observed(1, worker(101, lane, guard_unanswered=1))
    pools = {
        name: value(seen, f"dbopt_pool_lane_{name}", "app", "alice")
        for name in ("limit", "active", "waiting", "waits_total", "wait_seconds_total")
    }
    assert {
        "limit": 4, "active": 2, "waiting": 6, "waits_total": 8, "wait_seconds_total": 5.0,
    } == pools  # fmt: skip
    assert 6 == value(seen, "dbopt_guard_unanswered_total")
    assert 1 == value(seen, "dbopt_guard_unreadable_total")


def test_sums_survive_a_worker_that_is_replaced() -> None:
    seen = workers()
    name = "dbopt_pool_transactions_total"
    got = []
    for pid, count, failures in ((100, 10, 1), (100, 12, 1), (200, 1, 2), (200, 9, 2), (300, 9, 0)):
        seen.observed(0, worker(pid, pool(xact_count=count), login_failures=failures))
        got.append(
            (value(seen, name, "app", "alice"), value(seen, "dbopt_gateway_login_failures_total"))
        )
    assert [(10, 1), (12, 1), (13, 3), (21, 3), (30, 3)] == got


def test_sums_survive_a_pool_that_is_closed_and_opened_again() -> None:
    seen = workers()
    reports = [
        [pool(query_count=10, received=100)],
        [],  # closed
        [pool(query_count=3, received=500)],
        [pool(query_count=4, received=20)],  # closed and opened between two reports
    ]
    got = []
    for pools in reports:
        seen.observed(0, worker(100, *pools))
        got.append(value(seen, "dbopt_pool_queries_total", "app", "alice"))
    assert [10, 10, 13, 17] == got
    assert 620 == value(seen, "dbopt_pool_received_bytes_total", "app", "alice")


def test_a_silent_worker_is_gone_and_its_sums_stay() -> None:
    clock = FakeClock()
    seen = workers(clock)
    seen.observed(0, worker(100, pool(sv_idle=1, xact_count=7)))
    clock.now += 15.5
    assert {} == seen.live()
    assert [] == seen.pools()
    assert 7 == value(seen, "dbopt_pool_transactions_total", "app", "alice")
    assert 0 == value(seen, "dbopt_gateway_workers")


def test_pairs_are_bounded_and_sums_exact() -> None:
    seen = workers()
    pools = [pool(user=f"u{n}", cl_active=1, xact_count=2) for n in range(80)]
    seen.observed(0, worker(100, *pools))
    assert 51 == len(seen.pools())
    assert 160 == sum(one.xact_count for one in seen.pools())
    assert 30 == value(seen, "dbopt_pool_clients_active", "other", "other")
    assert 60 == value(seen, "dbopt_pool_transactions_total", "other", "other")


def test_restarts_are_the_supervisors() -> None:
    assert 4 == value(Workers(lambda: 4), "dbopt_gateway_worker_restarts_total")


def test_to_dict() -> None:
    seen = workers()
    seen.observed(1, worker(101, pool(), clients=2))
    assert [
        {
            "number": 1, "pid": 101, "clients": 2, "draining": False, "protocol_errors": 0,
            "login_failures": 0, "guard_asked": 0, "guard_unanswered": 0, "guard_unreadable": 0,
            "spans_dropped": 0, "errors_dropped": 0,
        }
    ] == seen.to_dict()  # fmt: skip
