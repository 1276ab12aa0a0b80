"""The planner's costs: asked once, remembered, and waited for only so long."""

from __future__ import annotations

import asyncio

import pytest

from dbopt.errors import UsageError
from dbopt.guard import costs
from dbopt.guard.costs import AGE, RETRY, Cost, Costs
from tests.support import wait_until_async

KEY = (1, "app", "alice")


class Planner:
    """Answers with `answer` once `open` is set."""

    def __init__(self, answer: float | Exception = 12.5) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str, str]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.now = 1000.0
        self.most = self.running = 0

    async def ask(self, database: str, user: str, text: str) -> float:
        self.asked.append((database, user, text))
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await self.open.wait()
        finally:
            self.running -= 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def costs(self) -> Costs:
        return Costs(self.ask, lambda: self.now)


def test_a_cost_is_asked_for_once_until_it_is_old() -> None:
    async def main() -> None:
        planner = Planner()
        known = planner.costs()
        for _ in range(3):
            assert Cost(12.5, 1000 + AGE) == await known.cost(KEY, "SELECT 1", 5.0)
        assert [("app", "alice", "SELECT 1")] == planner.asked
        assert [] == known.stale()
        planner.now += AGE
        assert [1] == known.stale()
        assert [] == known.stale()
        await known.cost(KEY, "SELECT 1", 5.0)
        assert 2 == len(planner.asked)
        assert 0 == known.failures

    asyncio.run(main())


@pytest.mark.parametrize("error", [UsageError("no"), ValueError("a literal"), TimeoutError()])
def test_a_failure_is_no_cost_for_a_while(error: Exception) -> None:
    async def main() -> None:
        planner = Planner(error)
        known = planner.costs()
        assert Cost(None, 1000 + RETRY) == await known.cost(KEY, "SELECT 1", 5.0)
        assert None is (await known.cost(KEY, "SELECT 1", 5.0)).value
        assert (1, 1) == (known.failures, len(planner.asked))

    asyncio.run(main())


def test_who_waits_too_long_goes_without_and_finds_it_later() -> None:
    async def main() -> None:
        planner = Planner()
        planner.open.clear()
        known = planner.costs()
        late = await asyncio.gather(*(known.cost(KEY, "SELECT 1", 0.01) for _ in range(2)))
        assert [Cost(None, 1000.0)] * 2 == late
        assert (2, 1) == (known.failures, len(planner.asked))
        planner.open.set()
        assert Cost(12.5, 1000 + AGE) == await known.cost(KEY, "SELECT 1", 5.0)
        assert 1 == len(planner.asked)

    asyncio.run(main())


def test_an_explain_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "LIMIT", 0.01)

    async def main() -> None:
        planner = Planner()
        planner.open.clear()
        assert None is (await planner.costs().cost(KEY, "SELECT 1", 5.0)).value
        assert 0 == planner.running

    asyncio.run(main())


def test_few_at_once_and_few_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "CAPACITY", 3)

    async def main() -> None:
        planner = Planner()
        planner.open.clear()
        known = planner.costs()
        keys = [(number, "app", "alice") for number in range(5)]
        asking = [asyncio.create_task(known.cost(key, "SELECT 1", 5.0)) for key in keys]

        async def busy() -> bool:
            return planner.running == costs.AT_ONCE

        await wait_until_async(busy)
        planner.open.set()
        await asyncio.gather(*asking)
        assert costs.AT_ONCE == planner.most
        await known.cost(keys[-1], "SELECT 1", 5.0)
        assert 5 == len(planner.asked)
        await known.cost(keys[0], "SELECT 1", 5.0)
        assert 6 == len(planner.asked)
        known.forget()
        await known.cost(keys[0], "SELECT 1", 5.0)
        assert 7 == len(planner.asked)

    asyncio.run(main())
