from __future__ import annotations

import pytest

from dbopt.errors import UsageError
from dbopt.metrics import Metrics
from dbopt.trace.transactions import MAX_ROWS, METRICS, Transactions
from tests.unit.trace.observations import repeated, transactions


def made() -> Transactions:
    return Transactions(lambda number: f"SELECT {number}")


def test_rows_by_scope_and_by_one_dimension() -> None:
    seen = made()
    seen.add([
        transactions((1000.0, 3000.0), failed=1, idle_us=2000.0, max_idle_us=1500.0),
        transactions((8000.0,), user="bob", route="/cart"),
        transactions((2000.0,), route="/cart"),
    ])  # fmt: skip
    assert [("bob", "/cart", 8.0), ("alice", "", 4.0), ("alice", "/cart", 2.0)] == [
        (one["user"], one["route"], one["total_ms"]) for one in seen.scopes()
    ]
    assert [("/cart", 10.0), ("", 4.0)] == [
        (one["route"], one["total_ms"]) for one in seen.scopes("route")
    ]
    (alone,) = seen.scopes("user", where={"user": "alice", "route": ""})
    wanted = {
        "user": "alice", "transactions": 2, "failed": 1, "statements": 4, "statements_mean": 2.0,
        "total_ms": 4.0, "mean_ms": 2.0, "max_ms": 3.0, "idle_ms": 1.0, "max_idle_ms": 1.5,
    }  # fmt: skip
    assert wanted == {name: alone[name] for name in wanted}
    assert (4, 14.0) == (seen.totals()["transactions"], seen.totals()["total_ms"])


@pytest.mark.parametrize(
    ("order", "first"), [("total", "long"), ("transactions", "many"), ("idle", "idle")]
)
def test_orders(order: str, first: str) -> None:
    seen = made()
    seen.add([
        transactions((1e6,), user="long"), transactions((1.0,) * 9, user="many"),
        transactions((2.0,), user="idle", idle_us=1.5),
    ])  # fmt: skip
    assert [first] == [one["user"] for one in seen.scopes(order=order, limit=1)]


def test_what_there_is_not_is_refused() -> None:
    for given in ({"by": "fingerprint"}, {"order": "colour"}, {"where": {"x": "y"}}):
        with pytest.raises(UsageError):
            made().scopes(**given)


def test_repetitions_are_summed_the_most_calls_first() -> None:
    seen = made()
    seen.add([], [repeated(), repeated(calls=40, most=25), repeated(8, calls=11, most=11)])
    assert [("SELECT 7", 4, 70, 25), ("SELECT 8", 2, 11, 11)] == [
        (one["query"], one["transactions"], one["calls"], one["most"]) for one in seen.repeated()
    ]
    assert ["0000000000000008"] == [
        one["fingerprint"] for one in seen.repeated(where={"fingerprint": f"{8:016x}"})
    ]


def test_beyond_the_bound_totals_are_exact() -> None:
    seen = made()
    seen.add([transactions(user=f"u{n}", database="d") for n in range(2 * MAX_ROWS)])
    assert 2 * MAX_ROWS == seen.totals()["transactions"]
    assert 2 * MAX_ROWS == sum(one["transactions"] for one in seen.scopes("database"))


def test_a_period_is_what_was_added_since_it_was_taken() -> None:
    seen = made()
    seen.add([transactions()], [repeated()])
    rows, again = seen.take_period()
    assert [1, 30] == [rows[0][1].histogram.count, again[0][1].calls]
    assert ([], []) == seen.take_period()
    seen.clear()
    assert [] == seen.scopes()
    assert [] == seen.repeated()


def test_metrics_are_by_database_and_outlive_clear() -> None:
    seen, metrics = made(), Metrics("1")
    metrics.add(seen, METRICS)
    seen.add([transactions((2e6,), failed=1, idle_us=1e6)], [repeated()])
    seen.clear()
    text = metrics.render()[0].decode()
    for line in (
        'dbopt_transactions_total{database="app"} 1.0',
        'dbopt_transactions_failed_total{database="app"} 1.0',
        'dbopt_transaction_statements_total{database="app"} 2.0',
        'dbopt_transaction_idle_seconds_total{database="app"} 1.0',
        'dbopt_transaction_duration_seconds_sum{database="app"} 2.0',
        'dbopt_repeated_transactions_total{database="app"} 2.0',
    ):
        assert line in text
