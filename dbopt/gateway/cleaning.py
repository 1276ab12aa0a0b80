"""Cleaning: bringing a backend back to how it was before a client changed it."""

from __future__ import annotations

import asyncio
from typing import Final

from dbopt.errors import DboptError, ProtocolError, ServerLost, ServerRefused
from dbopt.gateway.backend import Backend
from dbopt.gateway.routes import Route
from dbopt.gateway.session import reported
from dbopt.wire import encode
from dbopt.wire.backend import CommandComplete, ParameterStatus, ReadyForQuery
from dbopt.wire.messages import BackendMessage
from dbopt.wire.report import ErrorResponse
from dbopt.wire.types import IDLE

_TIMEOUT: Final = 5.0
_FORGETTING: Final = frozenset((b"DISCARD ALL", b"DEALLOCATE ALL"))
"""Tags of commands after which nothing is prepared."""


async def clean(backend: Backend, sql: bytes, timeout: float = _TIMEOUT) -> None:
    """Run `sql` as a simple Query, after a ROLLBACK if a transaction is open.

    Meanwhile nobody else can hold the backend. Its settings and statements are then known
    again. Raises ServerRefused, ServerLost or ProtocolError, and the connection is closed: what
    it is like is not known.
    """
    try:
        async with asyncio.timeout(timeout):
            if backend.status != IDLE:
                await _Cleaning(backend).run(b"ROLLBACK")
            await _Cleaning(backend).run(sql)
        if backend.status != IDLE:
            raise ProtocolError("What resets a server connection has left a transaction open.")
    except TimeoutError:
        backend.abort()
        raise ServerLost(f"PostgreSQL at {backend.target} did not answer in time.") from None
    except DboptError:
        backend.abort()
        raise
    finally:
        backend.holder = None


class _Cleaning:
    """One Query and its answer. It is a backend.Holder."""

    pinned = ""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._error: DboptError | None = None
        self._all_reset = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, sql: bytes) -> None:
        backend = self._backend
        if backend.closed:
            raise ServerLost(f"PostgreSQL at {backend.target} closed the connection.")
        # RESET ROLE has the same tag as RESET ALL, which alone resets all settings.
        self._all_reset = b"RESET ALL" in sql.upper()
        backend.holder = self
        backend.prepared.unnamed = None  # any simple Query ends it
        backend.transport.write(encode.query(sql))
        await self._done
        if self._error is not None:
            raise self._error
        if self._all_reset:
            backend.settings = reported(backend.settings, backend.parameters)

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        try:
            for message in self._backend.downstream.idle(data):
                self._take(message)
        except DboptError as error:
            self._end(error)

    def _take(self, message: BackendMessage) -> None:
        backend = self._backend
        if isinstance(message, ParameterStatus):
            if message.name in backend.settings:
                backend.settings = {**backend.settings, message.name: message.value}
            else:
                backend.parameters[message.name] = message.value
        elif isinstance(message, CommandComplete):
            if message.tag in _FORGETTING:
                backend.prepared.clear()
            self._all_reset = self._all_reset or message.tag == b"DISCARD ALL"
        elif isinstance(message, ErrorResponse):
            self._error = ServerRefused(message.message, message.sqlstate)
        elif isinstance(message, ReadyForQuery):
            backend.status = message.status
            self._end(None)

    def _end(self, error: DboptError | None) -> None:
        self._error = self._error or error
        if not self._done.done():
            self._done.set_result(None)

    def server_lost(self) -> None:
        """See backend.Holder."""
        self._end(ServerLost(f"PostgreSQL at {self._backend.target} closed the connection."))

    def pause_reading(self) -> None:
        """See backend.Holder: nothing more is sent."""

    def resume_reading(self) -> None:
        """See backend.Holder."""

    def tick(self, now: float, route: Route) -> None:
        """See backend.Holder: it has a time limit of its own."""
