from __future__ import annotations

from dbopt.trace.holding import GRACE, SlowHold
from dbopt.trace.planbook import CapturedPlan
from dbopt.trace.slow import SlowEvent
from tests.unit.trace.observations import FakeClock, slow


def plan(number: int, database: str) -> CapturedPlan | None:
    if database != "app":
        return None
    return CapturedPlan(number, database, 1.0, "ab", ("Seq Scan",), 0.0, 1.0, json={"Plan": {}})


def test_held_until_plan_and_waits_may_be_there() -> None:
    clock = FakeClock()
    hold = SlowHold(plan, 10, clock)
    event = SlowEvent(slow("SELECT a"), "read")
    hold.take([event])
    assert () == hold.due()
    event.waits["CPU"] = 2
    clock.now += GRACE
    (entry,) = hold.due("db1:5432")
    assert (event.statement, {"Plan": {}}, "ab", {"CPU": 2}, "db1:5432") == (
        entry.statement, entry.plan, entry.shape, entry.waits, entry.server,
    )  # fmt: skip
    assert () == hold.due()


def test_at_the_end_nothing_is_held_back_and_a_plan_of_another_database_is_not_its() -> None:
    hold = SlowHold(plan, 10)
    hold.take([SlowEvent(slow(database="other"), "read")])
    (entry,) = hold.due(grace=0.0)
    assert (None, "") == (entry.plan, entry.shape)


def test_the_newest_are_held() -> None:
    hold = SlowHold(plan, 2)
    hold.take([SlowEvent(slow(f"SELECT a{n}"), "read") for n in range(5)])
    assert ["SELECT a3", "SELECT a4"] == [entry.statement.text for entry in hold.due(grace=0.0)]
