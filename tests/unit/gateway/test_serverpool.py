"""ServerPool: what it counts, and how connections leave it, on the real psycopg_pool."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from dbopt.errors import ConnectError
from dbopt.gateway import serverpool
from dbopt.gateway.backend import Backend
from dbopt.gateway.serverpool import ServerPool
from tests.support import wait_until_async
from tests.unit.gateway.pool_stage import TARGET, Transport


class Owner:
    """Of backends that nobody has."""

    def connect_failed(self, error: Any) -> None:
        """Nobody asks."""

    def backend_lost(self, backend: Backend) -> None:
        """psycopg_pool has it, and finds out."""


class Stage:
    """A pool and its limit: `counted` is what it said, `room` whether it may grow."""

    def __init__(self, **options: Any) -> None:
        self.counted = 0
        self.room = True
        self.down = False
        self.made: list[Backend] = []
        self.pool = ServerPool(
            lambda: self.room, self._count, **{"min_size": 0, "max_size": 3} | options
        )

    def _count(self, change: int) -> None:
        self.counted += change

    async def connect(self, conninfo: str = "", **_: Any) -> Backend:
        await asyncio.sleep(0)
        if self.down:
            raise ConnectError("down")
        backend = Backend(TARGET, Owner(), 1)
        backend.transport = cast(Any, Transport(backend))
        self.made.append(backend)
        return backend

    @property
    def open(self) -> list[Backend]:
        return [backend for backend in self.made if not backend.closed]

    async def take(self, count: int) -> list[Backend]:
        return [await self.pool.getconn(2.0) for _ in range(count)]

    async def put(self, *backends: Backend) -> None:
        for number, backend in enumerate(backends):
            backend.idle_since = 1.0 + number
            await self.pool.putconn(backend)

    async def until(self, condition: Callable[[], bool]) -> None:
        async def asked() -> bool:
            return condition()

        await wait_until_async(asked)


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    monkeypatch.setattr(serverpool, "RECONNECT_TIMEOUT", 0.01)

    def runner(play: Callable[[Stage], Awaitable[None]], **options: Any) -> None:
        async def main() -> None:
            stage = Stage(**options)
            monkeypatch.setattr(Backend, "connect", stage.connect)
            await stage.pool.open()
            try:
                await play(stage)
            finally:
                await stage.pool.close()
            assert 0 == stage.counted

        asyncio.run(main())

    return runner


Run = Callable[..., None]


def test_a_connection_counts_from_when_it_is_asked_for(run: Run) -> None:
    async def play(stage: Stage) -> None:
        assert (2, []) == (stage.counted, stage.open)
        await stage.until(lambda: len(stage.open) == 2)
        held = await stage.take(3)
        assert (3, 3) == (stage.counted, stage.pool.size)
        await stage.put(*held)
        assert 3 == stage.counted

    run(play, min_size=2)


def test_one_that_cannot_be_opened_counts_no_more(run: Run) -> None:
    async def play(stage: Stage) -> None:
        stage.down = True
        await stage.until(lambda: stage.counted == 0)
        assert 0 == stage.pool.size

    run(play, min_size=2)


def test_it_grows_while_there_is_room_and_later_for_who_waits(run: Run) -> None:
    async def play(stage: Stage) -> None:
        (first,) = await stage.take(1)
        stage.room = False
        assert not stage.pool.can_grow()
        waiting = asyncio.create_task(stage.pool.getconn(5.0))
        await asyncio.sleep(0)
        stage.pool.grow()
        assert (1, False) == (stage.counted, waiting.done())
        stage.room = True
        assert stage.pool.can_grow()
        stage.pool.grow()
        second = await waiting
        assert ([first, second], 2) == (stage.open, stage.counted)

    run(play)


@pytest.mark.parametrize(("held", "expected"), [(0, 2), (2, 2)])
def test_without_anybody_who_waits_it_grows_to_min_size_alone(
    run: Run, held: int, expected: int
) -> None:
    async def play(stage: Stage) -> None:
        stage.down = True
        await stage.until(lambda: stage.pool.size == 0)
        stage.down = False
        backends = await stage.take(held)
        stage.pool.grow()
        await stage.until(lambda: len(stage.open) == expected and not stage.pool._growing)
        stage.pool.grow()
        assert (expected, expected) == (stage.counted, stage.pool.size)
        await stage.put(*backends)

    run(play, min_size=2)


def test_the_least_recently_used_is_taken_out_for_good(run: Run) -> None:
    async def play(stage: Stage) -> None:
        held = await stage.take(3)
        assert stage.pool.idle_since() is None
        for backend in held:
            backend._created_at = 0.5  # long ago, but after the last drain
        await stage.put(held[1], held[0], held[2])
        assert 1.0 == stage.pool.idle_since()
        assert held[1] is stage.pool.pop_idle()
        assert (2.0, 2) == (stage.pool.idle_since(), stage.counted)
        await held[1].close()

    run(play)


def test_nothing_is_taken_out_of_an_empty_pool(run: Run) -> None:
    async def play(stage: Stage) -> None:
        with pytest.raises(IndexError):
            stage.pool.pop_idle()
        assert 0 == stage.counted

    run(play)


def test_one_that_is_forgotten_is_not_replaced_and_cannot_come_back(run: Run) -> None:
    async def play(stage: Stage) -> None:
        (backend,) = await stage.take(1)
        stage.pool.forget(backend)
        assert 0 == stage.counted
        with pytest.raises(ValueError, match="doesn't come from any pool"):
            await stage.pool.putconn(backend)
        assert 1 == len(stage.made)

    run(play)


@pytest.mark.parametrize(
    ("least", "most", "opened"), [(0, 1, 2), (2, 2, 2), (3, 3, 3), (4, 5, 4), (5, 4, 2)]
)
def test_other_sizes_open_what_is_missing_alone(
    run: Run, least: int, most: int, opened: int
) -> None:
    async def play(stage: Stage) -> None:
        held = await stage.take(2)
        if least > most:
            with pytest.raises(ValueError, match="max_size"):
                await stage.pool.fit(least, most)
        else:
            await stage.pool.fit(least, most)
            assert (least, most) == (stage.pool.min_size, stage.pool._most)
        await stage.until(lambda: len(stage.open) == opened)
        assert opened == stage.counted
        await stage.put(*held)

    run(play)


def test_a_closed_pool_counts_nothing(run: Run) -> None:
    async def play(stage: Stage) -> None:
        (backend,) = await stage.take(1)
        await stage.pool.close()
        assert 0 == stage.counted
        await stage.pool.putconn(backend)
        stage.pool.forget(backend)
        assert (0, True) == (stage.counted, backend.closed)

    run(play, min_size=2)
