from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from structlog.testing import capture_logs

from dbopt.store.frame import Target
from dbopt.trace import planbook
from dbopt.trace.planbook import AUTO_EXPLAIN, MAX_SHAPES, SAID_FOR, PlanBook, Sighting
from tests.unit.trace.observations import FakeClock

NUMBER = 7
HEX = f"{NUMBER:016x}"


@dataclass
class SomePlan:
    shape: str = "index"
    total_cost: float = 8.5
    node: str = "Index Scan"
    json: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self.json = {"Plan": {"Node Type": self.node, "Relation Name": "users"}}

    def text(self) -> str:
        return f"{self.node} on users"


INDEX = SomePlan()
SEQ = SomePlan("seq", 900.0, "Seq Scan")


def book(clock: FakeClock) -> PlanBook:
    return PlanBook(lambda database: Target("db1:5432", database), clock)


def saw(of: PlanBook, plan: SomePlan, ms: float = 10.0, **given: Any) -> None:
    values: dict[str, Any] = {
        "fingerprint": NUMBER, "database": "app", "plan": plan, "duration_ms": ms,
    }  # fmt: skip
    of.seen(Sighting(**values | given))


def test_a_shape_knows_how_it_has_done() -> None:
    clock = FakeClock()
    plans = book(clock)
    for ms in (20.0, 5.0, 70.0):
        saw(plans, INDEX, ms)
        clock.now += 1.0
    (shown,) = plans.shapes(NUMBER)
    assert {
        "database": "app", "shape": "index", "source": "explain", "times": 3, "cost": 8.5,
        "first_seen": "1970-01-01T00:16:40.000+00:00",
        "last_seen": "1970-01-01T00:16:42.000+00:00", "best_ms": 5.0, "worst_ms": 70.0,
    } == shown  # fmt: skip
    (record,), events = plans.take()
    assert (Target("db1:5432", "app"), NUMBER, "index", 3, 5.0, 70.0, ()) == (
        record.target, record.fingerprint, record.shape, record.times, record.best_ms,
        record.worst_ms, events,
    )  # fmt: skip
    assert ((), ()) == plans.take()


def test_a_change_is_an_event_that_says_what_changed() -> None:
    plans = book(FakeClock())
    with capture_logs() as logs:
        saw(plans, INDEX)
        saw(plans, SEQ)
    (event,) = plans.take()[1]
    assert ("plan-change", HEX, Target("db1:5432", "app")) == (
        event.kind, event.object, event.target,
    )  # fmt: skip
    assert (
        f"The plan of statement {HEX} changed: users: Seq Scan instead of Index Scan; "
        "cost 8.50 before, 900.00 now." == event.message
    )
    assert {
        "fingerprint": HEX, "source": "explain", "old_shape": "index", "new_shape": "seq",
        "old_cost": 8.5, "new_cost": 900.0, "change": "users: Seq Scan instead of Index Scan",
    } == event.data  # fmt: skip
    latest = plans.latest(NUMBER)
    assert latest is not None
    assert (True, "index") == (latest.changed, latest.previous_shape)
    assert ["plan changed"] == [one["event"] for one in logs]
    assert ["seq", "index"] == [one["shape"] for one in plans.shapes(NUMBER)]


def test_a_plan_that_flips_is_said_once_a_direction_and_hour() -> None:
    clock = FakeClock()
    plans = book(clock)
    for _ in range(5):
        saw(plans, INDEX)
        saw(plans, SEQ)
        clock.now += 60.0
    assert [("index", "seq"), ("seq", "index")] == [
        (event.data["old_shape"], event.data["new_shape"]) for event in plans.take()[1]
    ]
    assert 9 == plans.changes
    clock.now += SAID_FOR
    saw(plans, INDEX)
    assert 1 == len(plans.take()[1])


def test_databases_and_sources_are_compared_each_with_its_own() -> None:
    plans = book(FakeClock())
    saw(plans, INDEX)
    saw(plans, SEQ, database="other")
    saw(plans, SEQ, source=AUTO_EXPLAIN)
    saw(plans, INDEX)
    assert () == plans.take()[1]
    other = plans.latest(NUMBER, "other")
    assert other is not None
    assert "seq" == other.shape
    assert ["other"] == [one["database"] for one in plans.shapes(NUMBER, "other")]
    assert [] == plans.shapes(NUMBER, "nowhere")


def test_a_restart_hides_no_change() -> None:
    before, after = book(FakeClock()), book(FakeClock())
    saw(before, SEQ)
    saw(before, INDEX)
    after.remember(before.take()[0])
    assert after.latest(NUMBER) is None
    saw(after, INDEX)
    assert () == after.take()[1]
    saw(after, SEQ, 30.0)
    (event,) = after.take()[1]
    assert ("index", "seq") == (event.data["old_shape"], event.data["new_shape"])
    # Both were seen before: the counts go on.
    assert [("seq", 2, 30.0), ("index", 2, 10.0)] == [
        (one["shape"], one["times"], one["worst_ms"]) for one in after.shapes(NUMBER)
    ]


def test_what_was_seen_since_the_start_counts_more_than_the_store() -> None:
    before, after = book(FakeClock()), book(FakeClock())
    saw(before, SEQ)
    saw(after, INDEX)
    after.take()
    after.remember(before.take()[0])
    saw(after, INDEX)
    assert () == after.take()[1]


def test_shapes_are_bounded() -> None:
    plans = book(FakeClock())
    for n in range(50):
        saw(plans, SomePlan(f"s{n}"))
    assert [f"s{n}" for n in range(49, 49 - MAX_SHAPES, -1)] == [
        one["shape"] for one in plans.shapes(NUMBER)
    ]


def test_a_month_later_the_plan_is_the_same_though_its_partitions_are_not() -> None:
    plans = book(FakeClock())
    for month in ("01", "02", "03"):
        plan = SomePlan(f"shape{month}")
        plan.json["Plan"]["Relation Name"] = f"events_2026_{month}"
        saw(plans, plan)
    records, events = plans.take()
    assert (3, ()) == (len(records), events)
    saw(plans, SEQ)
    assert 1 == len(plans.take()[1])


def test_a_plan_too_long_to_keep_is_compared_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planbook, "MAX_LINES", 0)
    plans = book(FakeClock())
    for shape in ("a", "b"):
        saw(plans, SomePlan(shape))
    assert () == plans.take()[1]
    saw(plans, SEQ)
    assert 1 == len(plans.take()[1])
