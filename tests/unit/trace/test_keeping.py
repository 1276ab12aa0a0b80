"""Slow statements on their way to the store: when they go, and with what."""

from __future__ import annotations

from dbopt.trace.keeping import ERRORS_A_MINUTE, GRACE, SlowKeeper
from dbopt.trace.planbook import CapturedPlan
from dbopt.trace.slow import SlowEvent
from tests.unit.trace.observations import FakeClock, slow


class Bench:
    def __init__(self, most: int = 3) -> None:
        self.plans: dict[tuple[int, str], CapturedPlan] = {}
        self.clock = FakeClock()
        self.keeper = SlowKeeper(lambda *key: self.plans.get(key), most, self.clock)

    def take(self, *fingerprints: int) -> None:
        self.keeper.take([SlowEvent(slow(fingerprint=number), "read") for number in fingerprints])

    def ripe(self, grace: float = GRACE) -> list[int]:
        return [entry.statement.fingerprint for entry in self.keeper.ripe("here:1", grace)]


def test_they_wait_for_their_plans() -> None:
    bench = Bench()
    bench.take(1)
    bench.clock.now += GRACE - 0.1
    bench.take(2)
    assert [] == bench.ripe()
    bench.clock.now += 0.1
    assert [1] == bench.ripe()
    assert [] == bench.ripe()
    assert [2] == bench.ripe(grace=0.0)


def test_each_goes_with_its_plan_its_waits_and_its_server() -> None:
    bench = Bench()
    statement = slow(fingerprint=7)
    plan = CapturedPlan(7, statement.database, 1.5, "abc", ("Seq Scan",), 0.0, 9.0, json={"P": 1})
    bench.plans[7, statement.database] = plan
    event = SlowEvent(statement, "read", {"CPU": 2})
    bench.keeper.take([event])
    bench.take(8)
    first, second = bench.keeper.ripe("here:1", 0.0)
    assert ({"P": 1}, "abc", {"CPU": 2}, "here:1") == (
        first.plan, first.shape, first.waits, first.server,
    )  # fmt: skip
    assert (None, "", {}) == (second.plan, second.shape, second.waits)


def test_a_plan_of_another_database_is_not_its_own() -> None:
    bench = Bench()
    bench.plans[7, "elsewhere"] = CapturedPlan(7, "elsewhere", 1.5, "abc", (), 0.0, 9.0)
    bench.take(7)
    assert [""] == [entry.shape for entry in bench.keeper.ripe("here:1", 0.0)]


def test_the_newest_are_kept() -> None:
    bench = Bench(most=2)
    bench.take(1, 2, 3)
    assert [2, 3] == bench.ripe(grace=0.0)


def test_of_fast_errors_there_are_so_many_a_minute() -> None:
    clock = FakeClock()
    keeper = SlowKeeper(lambda *_: None, 1000, clock, is_slow=lambda one: not one.sqlstate)
    for _ in range(2):
        keeper.take([SlowEvent(slow(sqlstate="22012"), "read")] * 50)
        keeper.take([SlowEvent(slow(), "read")] * 50)
        assert ERRORS_A_MINUTE + 50 == len(keeper.ripe("here:1", 0.0))
        clock.now += 60.0
