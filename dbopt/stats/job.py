"""The periodic job: one snapshot a run. Its failures are logged and never end it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from dbopt.errors import DboptError, StoreMissing
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.refusal import translated
from dbopt.pg.server import read_server
from dbopt.settings import Stats
from dbopt.stats.oldcollectors import collectors
from dbopt.stats.snapshot import take
from dbopt.store.snapshots import Snapshot

log = structlog.get_logger(__name__)


class Connections(Protocol):
    """Where connections come from: dbopt.pg.pool.Pool is one."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection for a block."""
        ...


class StatsJob:
    """Takes snapshots of one server's database. `last` is the latest that succeeded.

    `store` is where they go; it may be the same pool as `server`.
    """

    def __init__(self, server: Connections, store: Connections, settings: Stats) -> None:
        self._server = server
        self._store = store
        self._settings = settings
        self._collectors = collectors()
        self.last: Snapshot | None = None

    async def run_once(self) -> None:
        """Take one snapshot. Raises nothing but cancellation: what fails is logged."""
        try:
            self.last = await self.take()
        except StoreMissing as error:
            log.warning("no snapshot: the store is not ready", error=error.message, hint=error.hint)
        except DboptError as error:
            log.warning("no snapshot", error=error.message, hint=error.hint)
        except Exception as error:
            # The type alone: the words might hold what must not be logged.
            log.error("no snapshot", error=type(error).__name__)  # noqa: TRY400

    async def take(self) -> Snapshot:
        """Take one snapshot. Raises DboptError."""
        with translated("Taking a snapshot"):
            async with self._server.connection() as conn, self._store.connection() as store:
                server = await read_server(conn)
                snapshot = await take(conn, store, server, self._settings, self._collectors)
        log.debug(
            "snapshot taken",
            snapshot=snapshot.header.id,
            database=snapshot.header.database,
            not_examined=[finding.rule for finding in snapshot.header.findings],
        )
        return snapshot
