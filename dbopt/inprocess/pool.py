"""The traced pools: psycopg_pool's, with the same arguments and a few more (see tracing.Traced).

Source: https://www.psycopg.org/psycopg3/docs/api/pool.html
"""

from __future__ import annotations

from time import perf_counter
from typing import Generic, TypedDict, Unpack

from psycopg import Connection
from psycopg_pool import ConnectionPool, NullConnectionPool
from psycopg_pool.abc import CT, ConnectFailedCB, ConnectionCB, ConninfoParam, KwargsParam

from dbopt.inprocess.connection import leased, observed
from dbopt.inprocess.tracing import Traced


class PoolOptions(TypedDict, Generic[CT], total=False):
    """psycopg_pool's own arguments; it has the defaults."""

    kwargs: KwargsParam | None
    min_size: int
    max_size: int | None
    open: bool | None
    configure: ConnectionCB[CT] | None
    check: ConnectionCB[CT] | None
    reset: ConnectionCB[CT] | None
    name: str | None
    close_returns: bool
    timeout: float
    max_waiting: int
    max_lifetime: float
    max_idle: float
    reconnect_timeout: float
    reconnect_failed: ConnectFailedCB | None
    num_workers: int


class TracedConnectionPool(Traced, ConnectionPool[CT]):
    """A psycopg_pool.ConnectionPool that observes every statement. See Traced for its arguments."""

    def __init__(
        self,
        conninfo: ConninfoParam = "",
        *,
        connection_class: type[CT] = Connection,  # type: ignore[assignment]
        report_to: str | None = None,
        application: str = "",
        slow_ms: float | None = None,
        parameters: bool | None = None,
        n_plus_one: int | None = None,
        comments: bool = False,
        **options: Unpack[PoolOptions[CT]],
    ) -> None:
        counting = self._trace(report_to, slow_ms, parameters, n_plus_one)
        made = observed(connection_class, counting, application, comments, is_async=False)
        super().__init__(conninfo, connection_class=made, **options)
        self._reporter.name = self.name

    def getconn(self, timeout: float | None = None) -> CT:
        """As ConnectionPool.getconn; how long it took is the first statement's queue time."""
        start = perf_counter()
        connection = super().getconn(timeout)
        try:
            leased(connection, perf_counter() - start)
        except BaseException:  # a signal's: nobody else would give the connection back
            self.putconn(connection)
            raise
        return connection

    def close(self, timeout: float = 5.0) -> None:
        """As ConnectionPool.close; what was counted last is sent to the daemon."""
        super().close(timeout)
        self._reporter.close()


class TracedNullConnectionPool(TracedConnectionPool[CT], NullConnectionPool[CT]):
    """A psycopg_pool.NullConnectionPool that observes every statement."""
