"""Listeners: which there are, where they connect to, and that each is counted."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.clock import monotonic
from dbopt.errors import ConnectError, ShuttingDown, UnknownDatabase
from dbopt.gateway.admission import Admission
from dbopt.gateway.backend import Backend
from dbopt.gateway.limits import Limits
from dbopt.gateway.listeners import Listeners
from dbopt.gateway.notify import PATIENCE
from dbopt.gateway.target import Targets
from dbopt.settings import Database, Pool, Server, Settings
from tests.unit.gateway.listen_stage import Client, Wire, turn

DSN = "host=here port=5432 user=ann dbname=shop"
BASE = Settings(server=Server(dsn=DSN), pool=Pool(max_db_connections=1))


class Stage:
    """Takes the place of Backend.connect; `before` runs when it is asked."""

    def __init__(self, settings: Settings) -> None:
        self.asked: list[Targets] = []
        self.made: list[Backend] = []
        self.fails: Exception | None = None
        self.before: Callable[[], None] = lambda: None
        self.limits = Limits(settings)
        self.admission = Admission(settings, b"key")
        self.listeners = Listeners(self.admission, self.limits)

    async def connect(self, *, owner: Any, statements: int, targets: Targets, **_: Any) -> Backend:
        self.asked.append(targets)
        self.before()
        if self.fails is not None:
            raise self.fails
        backend = Backend(targets.hosts[0], owner, statements)
        backend.transport = cast(Any, Wire(backend))
        self.made.append(backend)
        return backend

    def room(self, database: str = "shop", user: str = "ann") -> bool:
        return self.limits.room_for_backend(database, user)

    def reload(self, settings: Settings) -> None:
        self.admission.reload(settings)
        self.listeners.reload()

    async def listen(self, user: str = "ann", encoding: str = "UTF8") -> Client:
        client = Client()
        self.listeners.get("shop", user, encoding).subscribe(client, b"a", client.done)
        await turn()
        return client


Play = Callable[[Stage], Awaitable[None]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def runner(play: Play, settings: Settings = BASE) -> None:
        async def main() -> None:
            stage = Stage(settings)
            monkeypatch.setattr(Backend, "connect", stage.connect)
            await play(stage)
            await stage.listeners.close()
            await turn()
            assert stage.room()

        asyncio.run(main())

    return runner


def test_one_a_database_and_encoding(run: Callable[[Play], None]) -> None:
    async def play(stage: Stage) -> None:
        get = stage.listeners.get
        first = get("shop", "ann")
        assert first is get("shop", "bob")
        assert first is get("shop", "ann", "UTF8")
        others = {first, get("shop", "ann", "LATIN1"), get("store", "ann")}
        assert 3 == len(others)
        assert others == set(stage.listeners.all())
        assert [] == stage.asked

    run(play)


def test_it_connects_as_who_asked_last_in_their_encoding(run: Callable[[Play], None]) -> None:
    async def play(stage: Stage) -> None:
        stage.listeners.get("shop", "ann", "LATIN1")
        await stage.listen("bob", "LATIN1")
        [targets] = stage.asked
        [host] = targets.hosts
        assert ("here", 5432, "shop", "bob") == (host.host, host.port, host.database, host.user)
        assert ("client_encoding", "LATIN1") == host.options.startup[-1]

    run(play)


def test_it_is_counted_while_it_is_there(run: Callable[[Play], None]) -> None:
    async def play(stage: Stage) -> None:
        stage.before = lambda: seen.append(stage.room())
        seen: list[bool] = []
        await stage.listen()
        assert ([False], False) == (seen, stage.room())
        stage.made[0].connection_lost(None)
        assert stage.room()

    run(play)


def test_it_is_not_counted_when_it_cannot_be_had(run: Callable[[Play], None]) -> None:
    async def play(stage: Stage) -> None:
        stage.fails = ConnectError("There is no server.")
        client = await stage.listen()
        assert stage.room()
        [listener] = stage.listeners.all()
        timeout = stage.admission.settings.server.connect_timeout
        stage.listeners.tick(listener._clock() + timeout + 1)
        assert [stage.fails] == client.told

    run(play)


def test_a_database_that_there_is_not(run: Callable[[Play, Settings], None]) -> None:
    async def play(stage: Stage) -> None:
        client = await stage.listen()
        assert [UnknownDatabase] == [type(error) for error in client.told]

    run(play, replace(BASE, databases={"other": Database()}))


def test_a_reload_that_leads_elsewhere_ends_it(run: Callable[[Play], None]) -> None:
    """On the server that it listens to, nobody notifies any more."""

    async def play(stage: Stage) -> None:
        await stage.listen()
        [listener] = stage.listeners.all()
        client = Client()
        stage.made[0].data_received(b"Z\0\0\0\5I")
        listener.subscribe(client, b"a", client.done)
        await turn()
        stage.made[0].data_received(b"Z\0\0\0\5I")
        assert [None] == client.told
        stage.reload(replace(BASE, pool=Pool(max_db_connections=1, max_size=3)))
        stage.reload(replace(BASE, databases={"other": Database()}))
        assert [] == client.lost
        stage.reload(replace(BASE, databases={"shop": Database(host="there")}))
        [error] = client.lost
        assert "another server" in str(error)
        await turn()
        assert stage.room()

    run(play)


def test_a_reload_while_it_connects(run: Callable[[Play], None]) -> None:
    async def play(stage: Stage) -> None:
        there = replace(BASE, databases={"shop": Database(host="there")})
        stage.before = lambda: stage.reload(there)
        client = await stage.listen()
        assert stage.made[0].closed
        assert [] == client.told
        [listener] = stage.listeners.all()
        stage.before = lambda: None
        stage.listeners.tick(listener._clock())
        assert stage.room()
        while len(stage.made) < 2:
            stage.listeners.tick(0.0)
            await asyncio.sleep(0.01)
        assert ["here", "there"] == [backend.target.host for backend in stage.made]

    run(play)


def test_one_that_nobody_uses_is_forgotten(run: Callable[[Play], None]) -> None:
    """Behind a wildcard that leads to one database, a client may name any."""

    async def play(stage: Stage) -> None:
        client = await stage.listen()
        [listener] = stage.listeners.all()
        held = listener
        stage.made[0].data_received(b"C\0\0\0\x0bLISTEN\0Z\0\0\0\5I")
        del listener
        gc.collect()
        assert [held] == stage.listeners.all()  # its client
        held.unsubscribe(client)
        del held
        gc.collect()
        assert 1 == len(stage.listeners.all())  # its connection
        stage.listeners.tick(monotonic() + 100.0)
        stage.listeners.tick(monotonic() + 200.0)
        await turn()
        stage.made.clear()
        gc.collect()
        assert ([], 0) == (stage.listeners.all(), len(stage.listeners._sources))

    run(play)


def test_close_ends_them_for_good(run: Callable[[Play], None]) -> None:
    async def play(stage: Stage) -> None:
        one, two = await stage.listen(), await stage.listen(encoding="LATIN1")
        await stage.listeners.close()
        late = await stage.listen()
        for client in (one, two, late):
            assert [ShuttingDown] == [type(error) for error in client.told]

    run(play)


def test_patience_is_the_time_to_connect() -> None:
    assert Server().connect_timeout >= PATIENCE
