"""A direct connection to a server that can be changed, and no pooler between.

Through a transaction pooler, SET and advisory locks would be lost.
"""

from __future__ import annotations

from contextlib import suppress

from dbopt.errors import MigrationRefused
from dbopt.pg import ddl
from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement

CHECKS = 3
ANSWER = 60.0
"""Seconds that a statement may take which has no limit of its own, such as reading the catalog."""


def prepared(connection: Connection) -> Connection:
    """The connection, with a session that no timeout of its role cuts, whose commits stay, and
    that ends with its client.

    Closes it and raises QueryFailed or ServerLost where that cannot be.
    """
    connection.patience = ANSWER
    try:
        with translated("Preparing a session for migrations"):
            connection.execute(statement("migration_session"))
            _end_with_its_client(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _end_with_its_client(connection: Connection) -> None:
    """Let the server end a statement whose client is gone, within a second or so.

    A build that nobody watches cannot give way: the application's ALTER TABLE, with everybody
    behind it, would wait for its end. So a killed run's build is better ended and built again than
    finished, though that may cost hours of work, and though a network that is cut ends a build too.
    One that only falls silent does so after the keepalives' 25 s.

    PostgreSQL 13 cannot, nor a server on a system that does not tell (Windows; macOS before 15):
    there the build goes on, and the next run waits for it (`orphans`).
    """
    with suppress(ddl.UNFIT_VALUE):
        connection.execute(statement("migration_client"))


def require_direct(connection: Connection) -> None:
    """Raise MigrationRefused unless one server process, and no pooler, answers this connection.

    A pooler must invent the process id of BackendKeyData, since it is the key to cancel by
    (docs: protocol-flow, "Canceling Requests in Progress"); a server gives its own.
    """
    claimed = connection.info.backend_pid
    if any(_pid(connection) != claimed for _ in range(CHECKS)):
        raise MigrationRefused(
            f"{_address(connection)} is a connection pooler, and indexes "
            "cannot be built concurrently through one.",
            hint="Give the server's own address in server.dsn.",
        )


def require_writable(connection: Connection) -> None:
    """Raise MigrationRefused on a standby, and in a session that may only read."""
    row = connection.execute(statement("migration_server")).fetchone()
    if row and row["standby"]:
        raise MigrationRefused(
            f"{_address(connection)} is a standby: it takes its indexes from its primary.",
            hint="Give the primary's address in server.dsn.",
        )
    if row and row["read_only"]:
        raise MigrationRefused(
            f"Sessions at {_address(connection)} only read (default_transaction_read_only).",
            hint="Use a role, or a server, that may write.",
        )


def _address(connection: Connection) -> str:
    return f"{connection.info.host}:{connection.info.port}"


def _pid(connection: Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid() AS pid").fetchone()
    return int(row["pid"]) if row else 0
