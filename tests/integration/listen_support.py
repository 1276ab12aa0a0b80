"""A shared listener with a real server, and clients that only listen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from dbopt.clock import monotonic
from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.notify import SharedListener
from dbopt.wire.report import NotificationResponse
from tests.integration.server_support import Owner, targets_of
from tests.support import wait_until_async


class Hearer:
    """A subscriber."""

    def __init__(self) -> None:
        self.heard: list[tuple[bytes, bytes]] = []
        self.lost: list[DboptError] = []

    def notified(self, message: bytes) -> None:
        found = NotificationResponse.parse(message[5:])
        self.heard.append((found.channel, found.payload))

    def listener_lost(self, error: DboptError) -> None:
        self.lost.append(error)

    async def has(self, count: int) -> None:
        await wait_until_async(lambda: _at_least(self.heard, count), what=f"{count} notifications")


async def _at_least(found: list[tuple[bytes, bytes]], count: int) -> bool:
    return len(found) >= count


class Place:
    """A listener of a database; `owner` has the backends that it lost."""

    def __init__(self, dsn: str, encoding: str, patience: float) -> None:
        self.owner = Owner()
        self.backends: list[Backend] = []
        self._targets = targets_of(dsn)
        hosts = tuple(
            replace(host, options=replace(host.options, startup=(("client_encoding", encoding),)))
            for host in self._targets.hosts
        )
        self._targets = replace(self._targets, hosts=hosts)
        self.listener = SharedListener(self.connect, "The listener", patience=patience)

    async def connect(self) -> Backend:
        backend = await Backend.connect(
            owner=self.owner, statements=1, timeout=10.0, targets=self._targets
        )
        self.backends.append(backend)
        return backend

    async def subscribe(self, hearer: Hearer, *channels: bytes) -> None:
        """Returns when the server listens to all of them."""
        loop = asyncio.get_running_loop()
        told: list[asyncio.Future[None]] = []
        for channel in channels:
            told.append(future := loop.create_future())

            def done(error: DboptError | None, future: asyncio.Future[None] = future) -> None:
                if error is None:
                    future.set_result(None)
                else:
                    future.set_exception(error)

            self.listener.subscribe(hearer, channel, done)
        async with asyncio.timeout(10):
            await asyncio.gather(*told)


async def _ticking(listener: SharedListener) -> None:
    while True:
        listener.tick(monotonic())
        await asyncio.sleep(0.05)


@asynccontextmanager
async def listening(
    dsn: str, encoding: str = "UTF8", patience: float = 10.0
) -> AsyncIterator[Place]:
    place = Place(dsn, encoding, patience)
    ticks = asyncio.get_running_loop().create_task(_ticking(place.listener))
    try:
        yield place
    finally:
        ticks.cancel()
        await place.listener.close()
        everyone = len(place.backends)
        await wait_until_async(lambda: _left(place, everyone), what="the listener's end")


async def _left(place: Place, everyone: int) -> bool:
    return len(place.owner.lost) == everyone
