"""A multiplexer on a stage: psycopg_pool's place is taken by one whose every answer is given."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, cast

from dbopt.clock import monotonic
from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.routes import Route, route
from dbopt.gateway.target import Target, Targets
from dbopt.settings import Application, Settings
from dbopt.wire.types import IDLE

TARGET = Target("nowhere", 5432, "shop", "ann")


class Transport:
    """It says that it was lost on the loop's next turn, as a real one."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.lost = False

    def write(self, data: bytes) -> None:
        assert not self.lost

    def pause_reading(self) -> None:
        """Nothing is read here."""

    resume_reading = pause_reading

    def abort(self) -> None:
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self.backend.connection_lost, None)

    close = abort


class StandIn:
    """psycopg_pool as the multiplexer sees it: `asked` are those who wait in getconn."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Backend]] = []
        self.returned: list[Backend] = []
        self.forgotten: list[Backend] = []
        self.idle: list[Backend] = []
        self.size = 0
        self.room = True
        self.sizes: tuple[int, int] | None = None
        self.drained = 0
        self.put_fails: Exception | None = None

    async def getconn(self, timeout: float) -> Backend:
        self.asked.append(asyncio.get_running_loop().create_future())
        backend = await self.asked[-1]
        self.size += 1
        return backend

    async def putconn(self, backend: Backend) -> None:
        self.returned.append(backend)
        self.size -= 1
        if self.put_fails is not None:
            raise self.put_fails

    async def open(self) -> None:
        """Nothing to open."""

    async def close(self, timeout: float) -> None:
        """Nothing to close."""

    def can_grow(self) -> bool:
        return self.room

    def grow(self) -> None:
        """Nobody waits that could not be given one before."""

    def forget(self, backend: Backend) -> None:
        self.forgotten.append(backend)
        self.size -= 1

    def idle_since(self) -> float | None:
        return self.idle[0].idle_since if self.idle else None

    def pop_idle(self) -> Backend:
        backend = self.idle.pop(0)
        self.forget(backend)
        return backend

    async def fit(self, min_size: int, max_size: int) -> None:
        self.sizes = min_size, max_size

    async def drain(self) -> None:
        self.drained += 1

    def get_stats(self) -> dict[str, int]:
        return {"pool_available": 0, "pool_size": 0}


class Waiter:
    """Who waits. With `at_once` it is done as soon as it has its backend."""

    def __init__(
        self,
        pool: Pool,
        *,
        logging_in: bool = False,
        at_once: bool = False,
        fails: Exception | None = None,
        application: str = "",
    ) -> None:
        self.pool = pool
        self.logging_in = logging_in
        self.at_once = at_once
        self.fails = fails
        self.backend: Backend | None = None
        self.error: DboptError | None = None
        self.turns = 0
        self.application = application
        self.pinned = ""
        self.ticks: list[float] = []
        self.tick_fails: Exception | None = None
        self.notices: list[tuple[float, int]] = []

    def ask(self) -> Waiter:
        backend = self.pool.acquire(self)
        if backend is not None:
            self.granted(backend, 0.0)
        return self

    def granted(self, backend: Backend, waited: float) -> None:
        assert backend.holder is None
        assert not backend.closed
        self.turns += 1
        self.backend = backend
        backend.holder = cast(Any, self)
        if self.fails is not None:
            raise self.fails
        if self.at_once:
            self.done()

    def queued(self, seconds: float, ahead: int) -> None:
        self.notices.append((seconds, ahead))

    def refused(self, error: DboptError) -> None:
        self.error = error
        if self.fails is not None:
            raise self.fails

    def tick(self, now: float, route: Route) -> None:
        assert route is self.pool.route
        self.ticks.append(now)
        if self.tick_fails is not None:
            raise self.tick_fails

    def server_lost(self) -> None:
        backend, self.backend = self.backend, None
        if backend is not None:
            backend.holder = None
            self.pool.discard(backend)

    def done(self, status: int = IDLE) -> None:
        backend, self.backend = self.backend, None
        assert backend is not None
        backend.holder = None
        backend.status = status
        self.pool.release(backend, monotonic())

    def leave(self, *, cancel_first: bool = False) -> Backend:
        backend, self.backend = self.backend, None
        assert backend is not None
        backend.holder = None
        self.pool.discard(backend, cancel_first=cancel_first)
        return backend


class PoolStage:
    """A Pool, and what its server gives it. `given` are settings of [pool]."""

    def __init__(
        self, max_size: int = 2, weights: dict[str, float] | None = None, **given: Any
    ) -> None:
        self.settings = replace(
            Settings(),
            pool=replace(Settings().pool, **{"max_size": max_size, "min_size": 0} | given),
            applications={n: Application(weight) for n, weight in (weights or {}).items()},
        )
        self.pg = StandIn()
        self.pool = Pool(route(self.settings, "shop", "ann"), Targets((TARGET,)))
        self.pool._pg = cast(Any, self.pg)
        self.made = 0

    def waiter(self, **options: Any) -> Waiter:
        return Waiter(self.pool, **options)

    def backend(self, *, closed: bool = False, expires: float = 1e18) -> Backend:
        self.made += 1
        backend = Backend(TARGET, self.pool, 10)
        backend.transport = cast(Any, Transport(backend))
        backend.pid, backend.secret = self.made, b"1234"
        backend.settings = {"TimeZone": "UTC"}
        backend.closed = closed
        backend._expire_at = expires
        return backend

    async def turn(self) -> None:
        """Let all run that can."""
        for _ in range(12):
            await asyncio.sleep(0)

    @property
    def pending(self) -> list[asyncio.Future[Backend]]:
        return [future for future in self.pg.asked if not future.done()]

    async def give(self, backend: Backend | None = None) -> Backend:
        """psycopg_pool answers the first who asks."""
        backend = backend or self.backend()
        await self.turn()
        self.pending[0].set_result(backend)
        await self.turn()
        return backend

    async def fail(self, error: Exception) -> None:
        """psycopg_pool refuses the first who asks."""
        await self.turn()
        self.pending[0].set_exception(error)
        await self.turn()

    @property
    def counts(self) -> tuple[int, int, int, int]:
        """cl_active, clients that wait, backends leased, backends that are asked for."""
        snapshot = self.pool.snapshot(0.0)
        leased = snapshot.sv_active + snapshot.sv_idle
        return snapshot.cl_active, snapshot.cl_waiting, leased, len(self.pending)
