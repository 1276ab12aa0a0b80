"""The traced pools for asyncio. Their reporter is a thread, so that it cannot hold the loop up."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Generic, TypedDict, Unpack

from psycopg import AsyncConnection
from psycopg_pool import AsyncConnectionPool, AsyncNullConnectionPool
from psycopg_pool.abc import (
    ACT,
    AsyncConnectFailedCB,
    AsyncConnectionCB,
    AsyncConninfoParam,
    AsyncKwargsParam,
)

from dbopt.inprocess.connection import leased, observed
from dbopt.inprocess.tracing import Traced


class AsyncPoolOptions(TypedDict, Generic[ACT], total=False):
    """psycopg_pool's own arguments; it has the defaults."""

    kwargs: AsyncKwargsParam | None
    min_size: int
    max_size: int | None
    open: bool | None
    configure: AsyncConnectionCB[ACT] | None
    check: AsyncConnectionCB[ACT] | None
    reset: AsyncConnectionCB[ACT] | None
    name: str | None
    close_returns: bool
    timeout: float
    max_waiting: int
    max_lifetime: float
    max_idle: float
    reconnect_timeout: float
    reconnect_failed: AsyncConnectFailedCB | None
    num_workers: int


class AsyncTracedConnectionPool(Traced, AsyncConnectionPool[ACT]):
    """A psycopg_pool.AsyncConnectionPool that observes every statement. See Traced."""

    def __init__(
        self,
        conninfo: AsyncConninfoParam = "",
        *,
        connection_class: type[ACT] = AsyncConnection,  # type: ignore[assignment]
        report_to: str | None = None,
        application: str = "",
        slow_ms: float | None = None,
        parameters: bool | None = None,
        n_plus_one: int | None = None,
        comments: bool = False,
        **options: Unpack[AsyncPoolOptions[ACT]],
    ) -> None:
        counting = self._trace(report_to, slow_ms, parameters, n_plus_one)
        made = observed(connection_class, counting, application, comments, is_async=True)
        super().__init__(conninfo, connection_class=made, **options)
        self._reporter.name = self.name

    async def getconn(self, timeout: float | None = None) -> ACT:
        """As AsyncConnectionPool.getconn; what it took is the first statement's queue time."""
        start = perf_counter()
        connection = await super().getconn(timeout)
        leased(connection, perf_counter() - start)
        return connection

    async def close(self, timeout: float = 5.0) -> None:
        """As AsyncConnectionPool.close; what was counted last is sent to the daemon."""
        await super().close(timeout)
        await asyncio.to_thread(self._reporter.close)


class AsyncTracedNullConnectionPool(AsyncTracedConnectionPool[ACT], AsyncNullConnectionPool[ACT]):
    """A psycopg_pool.AsyncNullConnectionPool that observes every statement."""
