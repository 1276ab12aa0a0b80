"""A shared listener on a stage: its server's every answer is given by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.notify import SharedListener
from dbopt.gateway.target import Target
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan

TARGET = Target("nowhere", 5432, "shop", "ann")
READY = encode.ready_for_query(b"I")


def run(play: Callable[[Stage], Awaitable[None]]) -> None:
    """Play it, on a stage of its own; nothing may fail unseen in a task."""

    async def main() -> None:
        failures: list[object] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, seen: failures.append(seen))
        stage = Stage()
        await play(stage)
        await stage.listener.close()
        await turn()
        assert [] == failures

    asyncio.run(main())


async def turn() -> None:
    """Let all run that can."""
    for _ in range(6):
        await asyncio.sleep(0)


def notification(channel: bytes, payload: bytes = b"") -> bytes:
    return m.NotificationResponse(7, channel, payload).encode()


def complete(tag: bytes = b"LISTEN") -> bytes:
    return m.CommandComplete(tag).encode() + READY


def refused(sqlstate: str = "25006") -> bytes:
    return encode.error_fields("ERROR", sqlstate, "cannot execute LISTEN") + READY


class Wire:
    """A transport that keeps each write."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.writes: list[bytes] = []
        self.lost = False

    def write(self, data: bytes) -> None:
        assert not self.lost
        self.writes.append(data)

    def abort(self) -> None:
        if not self.lost:
            self.lost = True
            asyncio.get_running_loop().call_soon(self._backend.connection_lost, None)

    close = abort


class Seat:
    """The owner of the stage's backends."""

    def __init__(self) -> None:
        self.lost: list[Backend] = []

    def connect_failed(self, error: DboptError) -> None:
        """Nobody asks here."""

    def backend_lost(self, backend: Backend) -> None:
        self.lost.append(backend)


class Client:
    """A subscriber, and what it was told; `then` is what each call does."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.lost: list[DboptError] = []
        self.told: list[DboptError | None] = []
        self.then: Callable[[], None] = lambda: None

    def done(self, error: DboptError | None) -> None:
        self.told.append(error)
        self.then()

    def notified(self, message: bytes) -> None:
        self.heard.append(message)
        self.then()

    def listener_lost(self, error: DboptError) -> None:
        self.lost.append(error)
        self.then()


class Stage:
    """A listener; `asked` are its attempts to connect, which `connected` and `failed` answer."""

    def __init__(self) -> None:
        self.now = 100.0
        self.asked: list[asyncio.Future[Backend]] = []
        self.seat = Seat()
        self.backends: list[Backend] = []
        self.listener = SharedListener(self._connect, "The listener of shop", lambda: self.now)

    async def _connect(self) -> Backend:
        self.asked.append(asyncio.get_running_loop().create_future())
        return await self.asked[-1]

    def _backend(self, server: str, client: str) -> Backend:
        backend = Backend(TARGET, self.seat, 1)
        backend.transport = cast(Any, Wire(backend))
        backend.parameters = {"server_encoding": server, "client_encoding": client}
        backend.settings = {"client_encoding": client}
        self.backends.append(backend)
        return backend

    async def connected(self, server: str = "UTF8", client: str = "UTF8") -> Wire:
        await turn()
        self.asked[-1].set_result(self._backend(server, client))
        await turn()
        return self.wire

    async def failed(self, error: Exception) -> None:
        await turn()
        self.asked[-1].set_exception(error)
        await turn()

    async def answer(self, data: bytes) -> None:
        self.backends[-1].data_received(data)
        await turn()

    async def pass_time(self, seconds: float, step: float = 0.25) -> None:
        """The worker's ticks."""
        for _ in range(int(seconds / step)):
            self.now += step
            self.listener.tick(self.now)
            await turn()

    async def listening(self, *channels: bytes) -> Client:
        """A client that listens already, over a connection that is there or made now."""
        client = Client()
        for channel in channels:
            self.listener.subscribe(client, channel, client.done)
        await turn()
        if self.asked and not self.asked[-1].done():
            await self.connected()
        await self.answer(b"".join(complete() for _ in self.unanswered))
        assert [None] * len(channels) == client.told
        client.told.clear()
        return client

    @property
    def unanswered(self) -> list[str]:
        """The queries since the last look."""
        found = self.queries()
        self.wire.writes.clear()
        return found

    @property
    def wire(self) -> Wire:
        return cast(Wire, self.backends[-1].transport)

    def queries(self) -> list[str]:
        """The texts of the queries that were sent and not yet looked away."""
        data = b"".join(self.wire.writes)
        return [data[start + 5 : end - 1].decode() for _, start, end in scan(data)]
