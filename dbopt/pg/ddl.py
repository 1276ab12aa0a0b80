"""Index statements on a server: identifiers quoted, timeouts put back, errors named.

The layers above import no psycopg; what they must tell apart is named here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Error as ServerError
from psycopg import errors, pq, sql

from dbopt.errors import ServerLost
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, Row
from dbopt.pg.ddltext import drop_text
from dbopt.pg.refusal import translate
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

__all__ = ["RETRYABLE", "TIMED_OUT", "ServerError", "drop_text", "translate"]

RETRYABLE = (errors.LockNotAvailable, errors.DeadlockDetected)
"""Errors that the same statement may not meet the next time."""
TIMED_OUT = errors.QueryCanceled
"""statement_timeout, or somebody's pg_cancel_backend."""
TAKEN = errors.DuplicateTable
"""The name belongs to something else (an index is a relation too)."""
DUPLICATES = errors.UniqueViolation
"""A unique index over rows that are not."""
GONE = (errors.UndefinedTable, errors.UndefinedColumn, errors.UndefinedObject)
"""The table, a column of it or the index is not there (any more)."""

UNFIT_VALUE = errors.InvalidParameterValue
"""A setting cannot have that value on this server."""
UNFIT = (
    errors.ProgramLimitExceeded,
    errors.UndefinedObject,
    errors.FeatureNotSupported,
    errors.InvalidObjectDefinition,
    errors.WrongObjectType,
)
"""No such index can be on this table: its values are too long, its types have no such class."""

_HAS_TRANSACTION_TIMEOUT = 170000
_LONGEST = 2**31 - 1
"""Milliseconds: the settings are 32 bits wide."""


@contextmanager
def timeouts(connection: Connection, *, lock: float, statement: float) -> Iterator[None]:
    """lock_timeout and statement_timeout in seconds (0: none) for a session of our own.

    SET LOCAL does nothing in autocommit, so they are set, then put back. transaction_timeout,
    which a role may have, is off meanwhile.
    """
    wanted = {"lock_timeout": lock, "statement_timeout": statement}
    if connection.info.server_version >= _HAS_TRANSACTION_TIMEOUT:
        wanted["transaction_timeout"] = 0.0
    before = connection.execute(
        "SELECT name, current_setting(name) AS value FROM unnest(%s::text[]) AS name",
        (list(wanted),),
    ).fetchall()
    _configure(
        connection,
        {name: str(min(round(value * 1000), _LONGEST)) for name, value in wanted.items()},
    )
    try:
        yield
    finally:
        if not (connection.closed or is_running(connection)):
            _configure(connection, {row["name"]: row["value"] for row in before})


def _configure(connection: Connection, values: dict[str, str]) -> None:
    connection.execute(
        "SELECT set_config(s.name, s.value, false)"
        " FROM unnest(%s::text[], %s::text[]) AS s (name, value)",
        (list(values), list(values.values())),
    )


def is_running(connection: Connection) -> bool:
    """Whether a statement was left in its middle, as a signal's handler does that raises."""
    return connection.info.transaction_status is pq.TransactionStatus.ACTIVE


def abandon(connection: Connection) -> None:
    """Cancel what runs on the connection, if it does, and close it."""
    if not connection.closed:
        connection.give_up()


def create(connection: Connection, definition: IndexDefinition, *, concurrently: bool) -> None:
    """CREATE INDEX [CONCURRENTLY], without IF NOT EXISTS: that would pass an invalid one."""
    # create_sql quotes its identifiers, and a declaration is the operator's own code.
    connection.execute(definition.create_sql(concurrently=concurrently))


def drop(connection: Connection, schema: str, name: str, *, concurrently: bool) -> None:
    """DROP INDEX [CONCURRENTLY] IF EXISTS."""
    text = "DROP INDEX CONCURRENTLY IF EXISTS {}" if concurrently else "DROP INDEX IF EXISTS {}"
    connection.execute(sql.SQL(text).format(sql.Identifier(schema, name)))


def run(connection: Connection, text: str) -> None:
    """Run statements that `ddltext` has written. What fails leaves no transaction open."""
    try:
        connection.execute(text)
    finally:
        if connection.info.transaction_status is not pq.TransactionStatus.IDLE:
            _roll_back(connection)


def _roll_back(connection: Connection) -> None:
    if not (connection.closed or is_running(connection)):
        connection.rollback()


def is_taken(error: Exception) -> bool:
    """Whether the name belongs to something else, also to what was made in the same moment."""
    if isinstance(error, DUPLICATES):
        return error.diag.schema_name == "pg_catalog"
    return isinstance(error, TAKEN)


def is_lost(error: ServerError) -> bool:
    """Whether the connection ended: a restart, pg_terminate_backend, the network."""
    return isinstance(translate("", error), ServerLost)


def find(connection: Connection, schema: str, name: str) -> catalog.Index | None:
    """The index of that name, or None."""
    row = connection.execute(statement("index_table"), {"schema": schema, "name": name}).fetchone()
    if row is None:
        return None
    found = catalog.indexes(connection, [row["table_oid"]], name)
    return found[0] if found else None


def is_still(connection: Connection, index: catalog.Index) -> bool:
    """Whether its name is still this index's, and it is as valid as it was. Takes no lock."""
    name = {"schema": index.definition.schema, "name": index.name}
    row = connection.execute(statement("index_table"), name).fetchone()
    return row is not None and (row["oid"], row["valid"]) == (index.oid, index.valid)


def resolve(connection: Connection, definition: IndexDefinition) -> Row | None:
    """The definition's table: oid, schema, whether `partitioned`, the `partition_keys` of its tree,
    and what it is if it can have no index (`unfit`). None where it is not there.
    """
    names = {"schema": definition.schema, "table": definition.table}
    return connection.execute(statement("index_resolve_table"), names).fetchone()


def on_table(connection: Connection, definition: IndexDefinition) -> list[catalog.Index]:
    """The indexes of the definition's table."""
    row = resolve(connection, definition)
    return list(catalog.indexes(connection, [row["oid"]])) if row else []
