"""Who collects: one sidecar of all that stand beside a server, by a session's advisory lock.

The lock goes with its session: if the sidecar dies, the server frees it at once; if its host
does, after the keepalives that are asked for here. Another one has it seconds later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress

import structlog

from dbopt.errors import DboptError
from dbopt.pg.connect import AsyncConnection, connect_async
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated

log = structlog.get_logger("dbopt.stats")

EVERY = 2.0
"""Seconds between two attempts, and between two looks whether the lock is still held."""
_TIMEOUT = 5.0


class Leader:
    """Holds the lock, or waits for it. `leading` tells which; `changed` hears of it.
    `answers` tells whether the server did when it was last asked.

    `run` lives until cancelled; a server that is away is no reason to end.
    """

    def __init__(
        self, dsn: str, changed: Callable[[bool], None] = lambda _: None, every: float = EVERY
    ) -> None:
        self.leading = self.answers = False
        self.reason = "It has not asked for the lock yet."
        self._dsn = dsn
        self._changed = changed
        self._every = every
        self._connection: AsyncConnection | None = None

    @property
    def pid(self) -> int | None:
        """The backend of the session that holds the lock, or waits for it."""
        return self._connection.info.backend_pid if self._connection is not None else None

    async def run(self) -> None:
        """Hold the lock for as long as this runs, or try to."""
        try:
            while True:
                await self._look()
                await asyncio.sleep(self._every)
        finally:
            await self.release()

    async def _look(self) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT):
                held = await self._held()
        except DboptError as error:
            await self._drop(error.message)
        except TimeoutError:
            await self._drop(f"The server did not answer within {_TIMEOUT:.0f} s.")
        else:
            self.answers = True
            self.reason = "" if held else "Another sidecar collects for this server."
            self._now(held)

    async def _held(self) -> bool:
        if self._connection is None or self._connection.closed:
            self._connection = None
            self._connection = await self._connect()
        with translated("Asking for the collector's lock"):
            rows = await fetch(self._connection, "leader_hold" if self.leading else "leader_try")
        return bool(rows[0]["held"])

    async def _connect(self) -> AsyncConnection:
        connection = await connect_async(self._dsn, timeout=_TIMEOUT, keepalives_idle=5)
        with translated("Preparing the collector's lock"):
            await fetch(connection, "leader_session")
        return connection

    async def _drop(self, reason: str) -> None:
        self.reason = reason
        self.answers = False
        self._now(False)
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                await asyncio.wait_for(connection.close(), 1.0)

    def _now(self, leading: bool) -> None:
        if leading == self.leading:
            return
        self.leading = leading
        if leading:
            log.info("this sidecar collects")
        else:
            log.warning("this sidecar collects no more", reason=self.reason)
        self._changed(leading)

    async def release(self) -> None:
        """Give the lock back: closing the session frees it."""
        await self._drop("It was given back.")
