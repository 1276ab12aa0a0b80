"""A command's connection to the store, which may be away at any moment."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dbopt import clock
from dbopt.errors import ServerLost
from dbopt.pg.connect import Connection, connect, resolve
from dbopt.pg.pool import session_options

TIMEOUT = 5.0
"""Seconds that a connection, or a statement, may take: nobody who writes may wait for longer."""

T = TypeVar("T")


def connect_store(dsn: str) -> Connection:
    """A connection whose statements end soon. Raises ConnectError, AuthenticationError or
    ConfigError."""
    options = session_options(resolve(dsn).get("options", ""), TIMEOUT)
    # Of a host that is gone without a word libpq would hear in minutes.
    lost = {"keepalives_idle": 5, "tcp_user_timeout": round(TIMEOUT * 1000)}
    made = connect(dsn, timeout=TIMEOUT, options=options, **lost)
    # A server process, or a pooler, that stands still ends no statement.
    made.patience = 2 * TIMEOUT
    return made


class StoreLink:
    """The connection to the store: opened when it is needed, after a failure not for a while."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._connection: Connection | None = None
        self._rests = 0.0
        self._delays = clock.backoff(first=2.0, most=60.0)

    @property
    def resting(self) -> bool:
        """Whether it has failed so lately that another try would only hold up the run."""
        return clock.monotonic() < self._rests

    def use(self, work: Callable[[Connection], T]) -> T:
        """Do `work` with the connection; raises what the store or `work` raises.

        What is lost with an old connection is done again with a new one, at once.
        """
        was_open = self._connection is not None
        try:
            return self._try(work)
        except ServerLost:
            if not was_open:
                raise
        return self._try(work)

    def _try(self, work: Callable[[Connection], T]) -> T:
        try:
            if self._connection is None or self._connection.broken:
                self._connection = connect_store(self._dsn)
            found = work(self._connection)
        except BaseException:
            # Also a signal's: the connection may be in the middle of a statement.
            self._rests = clock.monotonic() + next(self._delays)
            self.close()
            raise
        self._rests, self._delays = 0.0, clock.backoff(first=2.0, most=60.0)
        return found

    def close(self) -> None:
        """Close it."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None
