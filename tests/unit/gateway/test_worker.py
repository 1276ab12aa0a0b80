"""Worker: its clock, its reload and its link, whatever part of it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.clock import monotonic
from dbopt.errors import ConfigError, ServerRefused, UnknownDatabase
from dbopt.gateway.backend import Backend
from dbopt.gateway.link import Start
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.userlist import Secret, SecretKind
from dbopt.gateway.worker import _MAX_LINK_BACKLOG, Worker
from dbopt.settings import Database, Server, Settings
from dbopt.settings import Pool as PoolSettings
from dbopt.wire.messages import CancelRequest

BASE = Settings(
    server=Server(dsn="host=nowhere user=ann dbname=shop"), pool=PoolSettings(min_size=0)
)


class Link:
    """Its end of the link; `unread` is what the control process has not read yet."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.unread = 0
        self.transport = self

    def get_write_buffer_size(self) -> int:
        return self.unread

    def is_closing(self) -> bool:
        return False

    def write(self, data: bytes) -> None:
        self.written.append(data)


class Stage:
    """A worker without sockets."""

    def __init__(self, settings: Settings) -> None:
        self.link = Link()
        self.worker = Worker(Start(0, settings, [], b"key"), cast(Any, self.link))


def run(play: Callable[[Stage], Awaitable[None]], settings: Settings = BASE) -> None:
    async def main() -> None:
        stage = Stage(settings)
        await play(stage)
        await stage.worker.drain(0.0)
        stage.worker.close()

    asyncio.run(main())


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    async def connect(conninfo: str = "", **_: Any) -> Backend:
        raise ServerRefused("There is none.", "3D000")

    monkeypatch.setattr(Backend, "connect", connect)


def fails(*_: object) -> None:
    raise RuntimeError("a bug")


@pytest.mark.parametrize("part", ["admission", "files", "listeners", "pool"])
def test_a_part_that_fails_stops_no_other(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def play(stage: Stage) -> None:
        worker = stage.worker
        bad, good = worker.pool("shop", "ann"), worker.pool("shop", "bob")
        broken = bad if part == "pool" else getattr(worker, part)
        monkeypatch.setattr(type(broken), "tick", fails if part != "pool" else _fails_for(bad))
        good.clients = 1
        now = monotonic() + 1.0
        worker.tick(now)
        assert now == good.unused_since

    run(play)


def _fails_for(bad: object) -> Callable[..., None]:
    tick = Pool.tick

    def either(pool: Pool, now: float) -> None:
        if pool is bad:
            fails()
        tick(pool, now)

    return either


def test_a_pool_that_nobody_uses_is_forgotten() -> None:
    async def play(stage: Stage) -> None:
        worker = stage.worker
        pool = worker.pool("no such database", "ann")
        pool.clients = 1
        worker.tick(monotonic() + 1.0)
        assert pool is worker.pool("no such database", "ann")
        pool.clients = 0
        worker.tick(monotonic() + 2.0)
        assert ({}, {}) == (worker._pools, worker._secrets)
        await asyncio.gather(*worker._tasks)
        assert (set(), True) == (worker.limits.pools, pool._pg.closed)

    run(play)


def test_a_pool_that_cannot_take_its_new_route_keeps_no_other_from_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(stage: Stage) -> None:
        worker = stage.worker
        bad, good = worker.pool("shop", "ann"), worker.pool("shop", "bob")
        reconfigure = Pool.reconfigure

        def either(pool: Pool, *given: Any) -> None:
            if pool is bad:
                fails()
            reconfigure(pool, *given)

        monkeypatch.setattr(Pool, "reconfigure", either)
        worker.reload(replace(BASE, pool=replace(BASE.pool, max_size=7)))
        assert (20, 7) == (bad.route.max_size, good.route.max_size)

    run(play)


def test_who_is_in_a_database_that_a_reload_takes_away_is_served_on() -> None:
    async def play(stage: Stage) -> None:
        worker = stage.worker
        pool = worker.pool("shop", "ann")
        pool.clients = 1
        worker.reload(replace(BASE, databases={"other": Database()}))
        with pytest.raises(UnknownDatabase):
            worker.pool("shop", "ann")
        worker.tick(monotonic() + 100.0)
        assert (False, pool) == (pool.closing, worker._pools["shop", "ann"])

    run(play)


def test_a_new_secret_is_taken_though_the_first_attempt_to_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def play(stage: Stage) -> None:
        worker = stage.worker
        pool = worker.pool("shop", "ann")
        worker.auth.prove("shop", "ann", Secret(SecretKind.PLAIN, "new"))
        servers = worker.admission.servers

        def broken(_: object) -> Any:
            raise ConfigError("The password file cannot be read.")

        monkeypatch.setattr(worker.admission, "servers", broken)
        with pytest.raises(ConfigError):
            worker.pool("shop", "ann")
        monkeypatch.setattr(worker.admission, "servers", servers)
        assert pool is worker.pool("shop", "ann")
        assert pool.targets.hosts[0].has_secret

    run(play)


@pytest.mark.parametrize(("unread", "told"), [(0, 1), (_MAX_LINK_BACKLOG, 0)])
def test_anybody_may_send_cancels_but_they_do_not_pile_up(unread: int, told: int) -> None:
    async def play(stage: Stage) -> None:
        stage.link.unread = unread
        stage.worker.cancel(CancelRequest(77, b"1234"))
        assert told == len(stage.link.written)

    run(play)
