"""Which plans are asked for, and how often; the server is in test_trace_plans."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from structlog.testing import capture_logs

from dbopt.errors import QueryFailed
from dbopt.sql.analyze import Analyzer
from dbopt.trace.plans import CapturedPlan, PlanCapture, TokenBucket
from dbopt.trace.slow import SlowEvent
from tests.unit.trace.observations import FakeClock, slow

READ = "SELECT * FROM users WHERE id = 7"


@dataclass
class SomePlan:
    shape: str = "a"
    total_cost: float = 12.5

    @property
    def json(self) -> dict[str, Any]:
        return {"Plan": {"Node Type": "Seq Scan", "Index Name": self.shape}}

    def text(self) -> str:
        return "Seq Scan on users\n     Filter: (id = $1)"


class Planner:
    """Gives the plans in turn; an exception is raised."""

    def __init__(self, *answers: SomePlan | Exception) -> None:
        self.asked: list[tuple[str, str]] = []
        self._answers = list(answers)

    async def __call__(self, database: str, user: str, sql: str) -> SomePlan:
        self.asked.append((database, sql))
        answer = self._answers.pop(0) if self._answers else SomePlan()
        if isinstance(answer, Exception):
            raise answer
        return answer


def event(sql: str = READ, kind: str = "read", **given: Any) -> SlowEvent:
    return SlowEvent(slow(sql, **given), kind)


def capture(
    planner: Planner,
    work: Callable[[PlanCapture, FakeClock], Awaitable[None]],
    per_minute: int = 10,
) -> PlanCapture:
    clock = FakeClock()

    async def main() -> PlanCapture:
        plans = PlanCapture(planner, Analyzer(), per_minute, clock)
        plans.start()
        await work(plans, clock)
        await asyncio.wait_for(plans.drained(), 5)
        await plans.stop()
        return plans

    return asyncio.run(main())


def offered(planner: Planner, events: Sequence[SlowEvent], per_minute: int = 10) -> PlanCapture:
    async def work(plans: PlanCapture, clock: FakeClock) -> None:
        plans.offer(events)

    return capture(planner, work, per_minute)


def test_a_read_is_explained_as_it_ran_and_kept() -> None:
    planner = Planner()
    plans = offered(planner, [event()])
    assert [("app", READ)] == planner.asked
    plan = plans.latest(event().statement.fingerprint)
    assert plan is not None
    assert (12.5, "a", "", False) == (plan.cost, plan.shape, plan.previous_shape, plan.changed)
    assert ("Seq Scan on users", "     Filter: (id = $1)") == plan.lines
    assert 1500.0 == plan.duration_ms
    assert 1 == plans.captured
    assert READ not in str(plan.to_dict())


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO users VALUES (1)",
        "UPDATE users SET id = 1",
        "DELETE FROM users",
        "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
        "SELECT * FROM users FOR UPDATE",
        "SELECT nextval('users_id_seq')",
        "SELECT some_function_of_theirs()",
        "SELECT 1; DELETE FROM users",
        "CREATE TABLE x (id int)",
        "CALL something()",
        "SELECT 1 FROM WHERE (",
    ],
)
def test_what_may_write_is_never_explained_even_if_it_is_called_a_read(sql: str) -> None:
    planner = Planner()
    plans = offered(planner, [event(sql, kind="read")])
    assert [] == planner.asked
    assert 1 == plans.refused


@pytest.mark.parametrize(
    "unwanted",
    [
        event(kind="insert"),
        event(kind="other"),
        event(sqlstate="42P01"),
        event(fingerprint=0),
        SlowEvent(slow("", fingerprint=5), "read"),
    ],
)
def test_unwanted(unwanted: SlowEvent) -> None:
    planner = Planner()
    plans = offered(planner, [unwanted])
    assert [] == planner.asked
    assert 0 == plans.refused


def test_a_read_that_its_timeout_ended_is_explained() -> None:
    planner = Planner()
    offered(planner, [event(sqlstate="57014")])
    assert 1 == len(planner.asked)


def test_not_while_it_is_off() -> None:
    planner = Planner()

    async def work(plans: PlanCapture, clock: FakeClock) -> None:
        plans.reload(enabled=False, per_minute=10)
        plans.offer([event()])

    capture(planner, work)
    assert [] == planner.asked


def test_once_in_a_plan_age_and_a_changed_shape_is_noted() -> None:
    planner = Planner(SomePlan("a"), SomePlan("b"), SomePlan("b"))
    heard: list[CapturedPlan] = []

    async def work(plans: PlanCapture, clock: FakeClock) -> None:
        plans.subscribe(heard.append)
        for _ in range(3):
            plans.offer([event(), event("SELECT * FROM users WHERE id = 8")])
            await plans.drained()
            clock.now += 299
            plans.offer([event()])
            await plans.drained()
            clock.now += 1

    capture(planner, work)
    assert [("a", ""), ("b", "a"), ("b", "")] == [(p.shape, p.previous_shape) for p in heard]


def test_no_more_than_so_many_a_minute() -> None:
    planner = Planner()
    events = [event(f"SELECT a{n} FROM t") for n in range(6)]

    async def work(plans: PlanCapture, clock: FakeClock) -> None:
        plans.offer(events)
        await plans.drained()
        assert (2, 4) == (len(planner.asked), plans.limited)
        clock.now += 30
        plans.offer(events)

    capture(planner, work, per_minute=2)
    # What was limited is asked for when it comes again.
    assert [f"SELECT a{n} FROM t" for n in range(3)] == [sql for _, sql in planner.asked]


def test_none_a_minute_is_none() -> None:
    planner = Planner()
    assert 1 == offered(planner, [event()], per_minute=0).limited
    assert [] == planner.asked


def test_the_queue_is_bounded() -> None:
    planner = Planner()
    plans = offered(planner, [event(f"SELECT a{n} FROM t") for n in range(150)], per_minute=1000)
    assert (100, 50) == (plans.captured, plans.limited)


def test_failures_are_counted_logged_without_the_text_and_end_nothing() -> None:
    planner = Planner(QueryFailed("Refused (42P01)."), RuntimeError("topsecret"), SomePlan())
    secret = [f"SELECT a{n} FROM t WHERE x = 'topsecret'" for n in range(3)]
    with capture_logs() as logs:
        plans = offered(planner, [event(sql) for sql in secret])
    assert (2, 1) == (plans.failures, plans.captured)
    assert ["Refused (42P01).", "RuntimeError"] == [entry["error"] for entry in logs]
    assert "topsecret" not in str(logs)


def test_stop_without_start() -> None:
    async def main() -> None:
        await PlanCapture(Planner(), Analyzer(), 10).stop()

    asyncio.run(main())


def test_token_bucket_fills_by_the_clock_and_no_further() -> None:
    clock = FakeClock()
    bucket = TokenBucket(2, clock)
    assert [True, True, False] == [bucket.take() for _ in range(3)]
    clock.now += 30
    assert [True, False] == [bucket.take() for _ in range(2)]
    clock.now += 3600
    assert [True, True, False] == [bucket.take() for _ in range(3)]
