from __future__ import annotations

from dbopt.histogram import bucket_of
from dbopt.inprocess.summary import summaries
from dbopt.observation import StatementCount


def count(number: int, user: str, route: str, us: float, calls: int) -> StatementCount:
    return StatementCount(
        number, "SELECT $1", "d", user, "a", calls, calls, {"42P01": 1}, us, us * calls, us,
        {bucket_of(us): calls}, route,
    )  # fmt: skip


def test_statements_by_route_whoever_ran_them_the_most_expensive_first() -> None:
    found = summaries(
        [count(1, "a", "", 1000, 1), count(1, "b", "", 3000, 9), count(1, "a", "r", 9e6, 1)], 10
    )
    assert ["r", ""] == [one.route for one in found]
    both = found[1]
    assert (10, 10, {"42P01": 2}) == (both.calls, both.rows, both.errors)
    assert (28.0, 2.8, 3.0, 4.0) == (both.total_ms, both.mean_ms, both.max_ms, both.queue_ms)
    assert 2.97 < both.p50_ms <= both.p99_ms <= 3.0
    assert "0000000000000001" == both.fingerprint
    assert 1 == len(summaries([count(n, "a", "", 1.0, 1) for n in range(5)], 1))
