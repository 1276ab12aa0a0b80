"""ServerPool: psycopg_pool's pool, within the worker's limits, and able to let connections go.

psycopg_pool counts a connection from when it is asked for until it is gone for good. Here that
count is told to the limits, it grows only where they have room, and a connection can be given
up without another in its place. All this runs in one event loop, and psycopg_pool awaits nothing
between reading and writing its count, so that none of it needs its lock.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from psycopg_pool import AsyncConnectionPool

from dbopt.gateway.backend import Backend

RECONNECT_TIMEOUT = 3.0
"""psycopg_pool waits ever longer between attempts; given up early, the next client's need
starts anew, so that a server that comes back is found within seconds."""


class ServerPool(AsyncConnectionPool[Any]):
    """See the module. `room` tells whether one more may be opened, `counted` takes changes."""

    def __init__(
        self, room: Callable[[], bool], counted: Callable[[int], None], **options: Any
    ) -> None:
        self._room = room
        self._counted = counted
        self._count = 0
        super().__init__(
            "",
            connection_class=cast(Any, Backend),
            open=False,
            reconnect_timeout=RECONNECT_TIMEOUT,
            **options,
        )

    @property
    def size(self) -> int:
        """Connections: idle here, leased, and being opened."""
        return self._count

    def can_grow(self) -> bool:
        """Whether one more may be opened."""
        return self._count < self._max_size

    def grow(self) -> None:
        """Open one for who waits in getconn, or up to min_size, if there is room by now."""
        if self._waiting or self._count < self._min_size:
            self._maybe_grow_pool()

    def idle_since(self) -> float | None:
        """Since when the least recently used idle connection is unused; None without one."""
        return max(self._pool[0].idle_since, self._pool[0]._created_at) if self._pool else None

    def pop_idle(self) -> Backend:
        """Take the least recently used idle connection out for good. Raises IndexError."""
        backend: Backend = self._pool.popleft()
        self._nconns_min = min(self._nconns_min, len(self._pool))
        self.forget(backend)
        return backend

    def forget(self, backend: Backend) -> None:
        """A connection that was leased is not to come back, nor another in its place."""
        backend._pool = None
        self._nconns -= 1

    async def fit(self, min_size: int, max_size: int) -> None:
        """Change the sizes. What is above them goes when it is given back or not used."""
        # `resize` opens as many as min_size grew by, however many there are already.
        self._min_size = min_size - max(0, min(min_size, max_size) - self._count)
        await self.resize(min_size, max_size)

    async def close(self, timeout: float = 5.0) -> None:
        """See AsyncConnectionPool; no connection counts any more."""
        await super().close(timeout)
        self._counted(-self._count)
        self._count = 0
        self._counted = _nobody  # an attempt to connect may still be on its way

    # psycopg_pool's own names

    @property
    def _nconns(self) -> int:
        return self._count

    @_nconns.setter
    def _nconns(self, count: int) -> None:
        change, self._count = count - self._count, count
        self._counted(change)

    @property
    def _max_size(self) -> int:
        return self._most if self._room() else min(self._most, self._count)

    @_max_size.setter
    def _max_size(self, most: int) -> None:
        self._most = most


def _nobody(_change: int) -> None:
    """Nobody counts the connections of a closed pool."""
