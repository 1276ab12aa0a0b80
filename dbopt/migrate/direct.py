"""A direct connection: through a transaction pooler, SET and advisory locks would be lost."""

from __future__ import annotations

from dbopt.errors import MigrationError
from dbopt.pg.connect import Connection

CHECKS = 3


def require_direct(connection: Connection) -> None:
    """Raise MigrationError unless one server process, and no pooler, answers this connection.

    A pooler must invent the process id of BackendKeyData, since it is the key to cancel by
    (docs: protocol-flow, "Canceling Requests in Progress"); a server gives its own.
    """
    claimed = connection.info.backend_pid
    if any(_pid(connection) != claimed for _ in range(CHECKS)):
        raise MigrationError(
            f"{connection.info.host}:{connection.info.port} is a connection pooler, and indexes "
            "cannot be built concurrently through one.",
            hint="Give the server's own address in server.dsn.",
        )


def _pid(connection: Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    return int(row["pid"]) if row else 0
