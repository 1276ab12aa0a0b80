"""Slow statements on their way to the store; the real store is in test_daemon."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dbopt.errors import StoreMissing
from dbopt.observation import SlowStatement
from dbopt.store import slow as slow_store
from dbopt.trace.keeping import SlowKeeper
from dbopt.trace.plans import CapturedPlan
from dbopt.trace.slow import SlowEvent
from tests.unit.trace.observations import FakeClock, slow

Row = tuple[SlowStatement, slow_store.PlanJson | None]


class Pool:
    @asynccontextmanager
    async def connection(self) -> AsyncIterator[str]:
        yield "a connection"


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stored: list[Row] = []
        self.error: Exception | None = None
        self.plans: dict[int, CapturedPlan] = {}
        self.clock = FakeClock()
        self.keeper = SlowKeeper(Pool(), self.plans.get, 3, self.clock)  # type: ignore[arg-type]
        monkeypatch.setattr(slow_store, "append", self.append)

    async def append(self, connection: Any, rows: list[slow_store.SlowEntry]) -> int:
        if self.error is not None:
            raise self.error
        self.stored += [(row.statement, row.plan) for row in rows]
        return len(rows)

    def take(self, *applications: str) -> None:
        self.keeper.take([SlowEvent(slow(application=name), "read") for name in applications])

    @property
    def names(self) -> list[str]:
        return [statement.application for statement, _ in self.stored]


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def main() -> None:
        await work()

    asyncio.run(main())


def test_each_waits_for_its_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(monkeypatch)

    async def work() -> None:
        bench.take("a")
        bench.clock.now += 2.0
        bench.take("b")
        bench.clock.now += 1.5
        number = slow().fingerprint
        bench.plans[number] = CapturedPlan(number, "app", 1.0, "s", (), 0.0, 1.0, "", {"Plan": 1})
        assert 1 == await bench.keeper.store()
        assert [("a", {"Plan": 1})] == [(s.application, plan) for s, plan in bench.stored]
        assert 0 == await bench.keeper.store()
        assert 1 == await bench.keeper.store(grace=0.0)
        assert ["a", "b"] == bench.names

    run(work)


def test_what_cannot_be_stored_is_kept_the_newest_at_least(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(monkeypatch)

    async def work() -> None:
        bench.take("a", "b")
        bench.error = StoreMissing()
        with pytest.raises(StoreMissing):
            await bench.keeper.store(grace=0.0)
        bench.take("c", "d")
        bench.error = None
        assert 3 == await bench.keeper.store(grace=0.0)
        assert ["b", "c", "d"] == bench.names

    run(work)
