"""Limits: clients and backends of each database and each user, over all pools of a worker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

from dbopt.errors import TooManyClients
from dbopt.gateway.routes import resolved
from dbopt.settings import Settings


class Rival(Protocol):
    """A pool, as others see it that have no room for one more backend."""

    database: str
    user: str

    def idle_since(self) -> float | None:
        """Since when its least recently used idle backend is so; None if it can spare none."""

    def close_idle(self) -> None:
        """Close that one; it counts no more when this returns."""

    def in_use(self) -> int:
        """How many backends its clients have."""

    def surrender(self, then: Callable[[], None]) -> None:
        """Close the next backend that comes free, and then call that."""


class Limits:
    """Counts, and whether one more is allowed.

    Databases and users are the client's words. A new `settings` acts on whoever comes next;
    nobody who is in is put out. `pools` are those that share the limits of backends.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pools: set[Rival] = set()
        self._db_clients: Counter[str] = Counter()
        self._user_clients: Counter[str] = Counter()
        self._db_backends: Counter[str] = Counter()
        self._user_backends: Counter[str] = Counter()

    def admit_client(self, database: str, user: str) -> None:
        """Count a client in. Raises TooManyClients where a limit is reached, and counts none."""
        for key, what, name, count in (
            ("max_db_clients", "Database", database, self._db_clients[database]),
            ("max_user_clients", "User", user, self._user_clients[user]),
        ):
            limit = resolved(self.settings, key, database, user)
            if 0 < limit <= count:
                raise TooManyClients(
                    f'{what} "{name}" already has {count} clients; {key} is {limit}.',
                    hint=f"Raise {key}, or close connections that are not used.",
                )
        self._db_clients[database] += 1
        self._user_clients[user] += 1

    def leave_client(self, database: str, user: str) -> None:
        """A client that was admitted has left."""
        _less(self._db_clients, database)
        _less(self._user_clients, user)

    def full(self, database: str, user: str) -> str:
        """The limit of backends that forbids one more, in words; "" where there is room."""
        return self._reached(database, user)[1]

    def _reached(self, database: str, user: str) -> tuple[str, str]:
        """Of whom a limit of backends is reached, "database" or "user", and in words."""
        for key, what, name, count in (
            ("max_db_connections", "database", database, self._db_backends[database]),
            ("max_user_connections", "user", user, self._user_backends[user]),
        ):
            limit = resolved(self.settings, key, database, user)
            if 0 < limit <= count:
                return what, f'{what} "{name}" has {count} server connections; {key} is {limit}'
        return "", ""

    def make_room(self, database: str, user: str) -> bool:
        """Close another pool's least recently used idle backend, where a limit is in the way.

        Whether there is room now. Where both limits forbid it, it may cost two.
        """
        names = {"database": database, "user": user}
        while what := self._reached(database, user)[0]:
            rivals = [
                (since, id(pool), pool)
                for pool in self.pools
                if getattr(pool, what) == names[what] and (since := pool.idle_since()) is not None
            ]
            if not rivals:
                return False
            min(rivals)[2].close_idle()
        return True

    def demand(self, database: str, user: str, then: Callable[[], None]) -> None:
        """For a pool that has no backend while all others are in use: one is to be given up.

        By the pool that has most, when one of its comes free. PgBouncer's would wait for as
        long as the other pools have clients in their queues.
        """
        names = {"database": database, "user": user}
        what = self._reached(database, user)[0]
        rivals = [pool for pool in self.pools if what and getattr(pool, what) == names[what]]
        most = max(rivals, key=lambda pool: pool.in_use(), default=None)
        if most is not None and most.in_use():
            most.surrender(then)

    def count_backends(self, database: str, user: str, change: int) -> None:
        """So many more backends, or fewer; see backend_opened."""
        for _ in range(change):
            self.backend_opened(database, user)
        for _ in range(-change):
            self.backend_closed(database, user)

    def room_for_backend(self, database: str, user: str) -> bool:
        """Whether a pool of that database and user may open one more."""
        return not self.full(database, user)

    def backend_opened(self, database: str, user: str) -> None:
        """Count a backend; from when it is asked for, so that two pools cannot both take the last.

        It is counted beyond a limit too: min_size, or a backend that replaces one that closes.
        """
        self._db_backends[database] += 1
        self._user_backends[user] += 1

    def backend_closed(self, database: str, user: str) -> None:
        """A backend that was counted is closed, or could not be opened."""
        _less(self._db_backends, database)
        _less(self._user_backends, user)


def _less(counts: Counter[str], name: str) -> None:
    """One less; a name without any is forgotten, since clients make names up."""
    counts[name] -= 1
    if counts[name] <= 0:
        del counts[name]
