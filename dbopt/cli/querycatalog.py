"""When `dbopt query` looks at a database, and what it keeps of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dbopt.cli.context import Context
from dbopt.pg.connect import Connection, connect
from dbopt.pg.schema import read_schema
from dbopt.sql.schema import Schema


@dataclass(frozen=True, slots=True)
class Catalog:
    """An open connection and the schema of its database."""

    connection: Connection
    schema: Schema


@contextmanager
def catalog(
    context: Context, dsn: str | None = None, wanted: bool | None = None
) -> Iterator[Catalog | None]:
    """The catalog of `dsn`, or of server.dsn if somebody has set that.

    So nobody is connected to by surprise: None without either. `wanted` True takes the default
    of server.dsn too, False none at all. Raises ConnectError.
    """
    given = bool(dsn) or "server.dsn" in context.sources.found()
    if not (given if wanted is None else wanted):
        yield None
        return
    with connected(context, dsn) as connection:
        yield Catalog(connection, read_schema(connection))


@contextmanager
def connected(context: Context, dsn: str | None = None) -> Iterator[Connection]:
    """A connection to `dsn`, else to server.dsn. Raises ConnectError."""
    server = context.settings.server
    with connect(dsn or server.dsn, timeout=server.connect_timeout) as connection:
        yield connection
