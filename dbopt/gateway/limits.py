"""Limits: clients and backends of each database and each user, over all pools of a worker."""

from __future__ import annotations

from collections import Counter

from dbopt.errors import TooManyClients
from dbopt.gateway.routes import resolved
from dbopt.settings import Settings


class Limits:
    """Counts, and whether one more is allowed.

    Databases and users are the client's words. A new `settings` acts on whoever comes next;
    nobody who is in is put out.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
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
        for key, what, name, count in (
            ("max_db_connections", "database", database, self._db_backends[database]),
            ("max_user_connections", "user", user, self._user_backends[user]),
        ):
            limit = resolved(self.settings, key, database, user)
            if 0 < limit <= count:
                return f'{what} "{name}" has {count} server connections; {key} is {limit}'
        return ""

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
