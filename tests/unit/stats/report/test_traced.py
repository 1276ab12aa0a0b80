from __future__ import annotations

from dbopt.stats.report.model import Report, Section
from dbopt.stats.report.traced import traced_group
from dbopt.trace.history import LATENCY, POOLS, POOLS_NOW, REPEATED, TRACED, TRANSACTIONS
from tests.unit.stats.report.made import SERVER, frame, period, pulse

SCOPE = ("shop", "app", "web", "/cart")


def group(database: str = "") -> dict[str, Section]:
    """The tracer's own columns: a name that changes there fails here."""
    made = period(database).add_all(
        [
            pulse(1),
            frame("traced", 1, {(7, *SCOPE): (4, 8, 1, 4000, 400, 40, 9, 99, 1, 2, 3, 4)},
                  TRACED, LATENCY, target=SERVER),
            frame("transactions", 1, {SCOPE: (2, 1, 6, 800, 200, 1, 2, 3, 500, 90)},
                  TRANSACTIONS, (*LATENCY, "max_idle_us"), target=SERVER),
            frame("repeated", 1, {(7, *SCOPE): (2, 40, 30)}, REPEATED, ("most",), target=SERVER),
            frame("pools", 1, {("shop", "app"): (5, 6, 70, 1, 2, 3, 4, 5)}, POOLS, POOLS_NOW,
                  target=SERVER),
        ]
    )  # fmt: skip
    return {section.id: section for section in traced_group(made, 10).sections}


def test_routes_users_and_applications() -> None:
    found = group()
    (record,) = found["routes"].records()
    assert ("/cart", 4000, 4, 1000.0, 1) == tuple(
        record[name] for name in ("route", "total_us", "calls", "mean_us", "errors")
    )
    assert "app" == found["users"].rows[0][0]
    assert "web" == found["applications"].rows[0][0]


def test_transactions_and_what_repeats_in_them() -> None:
    found = group()
    (record,) = found["transactions"].records()
    assert (2, 400.0, 0.25, 3.0, 1, 500) == tuple(
        record[name] for name in ("transactions", "mean_us", "idle_share",
                                  "statements_per_transaction", "failed", "max_us")
    )  # fmt: skip
    (record,) = found["n_plus_one"].records()
    assert (f"{7:016x}", 20.0, 30) == (
        record["statement"],
        record["per_transaction"],
        record["most"],
    )


def test_pools() -> None:
    (record,) = group()["pools"].records()
    assert (5, 6, 70, 2) == tuple(
        record[name] for name in ("transactions", "queries", "wait_us", "cl_waiting")
    )


def test_another_database_is_left_out() -> None:
    assert {} == group("other")


def test_latency_is_drawn(day: Report) -> None:
    (latency,) = [chart for chart in day.charts if chart.id == "latency"]
    assert ["mean", "95th percentile", "queued"] == [series.name for series in latency.series]
