"""Index statements on a server: identifiers quoted, timeouts put back, errors named.

The layers above import no psycopg; what they must tell apart is named here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from psycopg import Error as ServerError
from psycopg import errors, pq, sql

from dbopt.errors import DboptError, MigrationError, ServerLost
from dbopt.pg import catalog
from dbopt.pg.connect import Connection, Row
from dbopt.pg.ddltext import drop_text
from dbopt.pg.refusal import translate
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

__all__ = ["RETRYABLE", "TIMED_OUT", "ServerError", "canonical", "drop_text", "translate"]

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

_PROBE = "dbopt_probe"
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
        connection.cancel_safe(timeout=5.0)
        connection.close()


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


def canonical(
    connection: Connection, definition: IndexDefinition, there: Iterable[catalog.Index] = ()
) -> IndexDefinition:
    """The definition as this server would store it: its schema resolved, its expressions and
    predicate written as the server writes them, so that two texts compare by meaning.

    The server itself is asked: the index is made on an empty temporary copy of the table's
    columns, read back and rolled back. Raises MigrationError where there is no such table, where
    it is a view or the like, or the server refuses the definition: so it does a unique one that
    lacks columns of a partition key. Raises ServerLost. Needs the TEMPORARY privilege.

    `there` are the table's indexes, if they are known: where one of them is the definition as it
    is written, the server has said already how it writes it.
    """
    row = resolve(connection, definition)
    if row is None:
        raise MigrationError(
            f'The table {definition.table} of index "{definition.name}" is not in this database.',
            hint="Create the table first, or take the index out of the declared ones.",
        )
    if row["unfit"]:
        raise MigrationError(
            f'Index "{definition.name}" cannot be: {definition.table} is a {row["unfit"]}.',
            hint="Only tables and materialized views have indexes that dbopt looks after.",
        )
    known = replace(definition, schema=row["schema"])
    same = next((index.definition for index in there if known.same_as(index.definition)), None)
    if same is not None and not known.storage:  # how parameters are written is the server's to say
        return replace(same, name=known.name, storage=(), tablespace=known.tablespace)
    try:
        stored = _probe(connection, row, definition)
    except ServerError as error:
        raise _refused(definition, error) from None
    return replace(
        stored,
        name=definition.name,
        schema=row["schema"],
        table=definition.table,
        # Where none is named, the copy's index lies in one of temp_tablespaces.
        tablespace=stored.tablespace if definition.tablespace else "",
    )


def _refused(definition: IndexDefinition, error: ServerError) -> DboptError:
    answer = translate(f'Making the index "{definition.name}" on {definition.table}', error)
    if isinstance(answer, ServerLost):
        return answer  # the definition is not to blame
    hint = "Check its columns and expressions."
    if isinstance(error, errors.InsufficientPrivilege):
        hint = (
            "It is tried on a temporary copy of the table's columns: dbopt's role needs TEMPORARY "
            "on the database and SELECT on the table."
        )
    return MigrationError(answer.message, hint=answer.hint or hint)


def _probe(connection: Connection, table: Row, definition: IndexDefinition) -> IndexDefinition:
    # A unique index must hold the partition keys of every level; the server looks only where the
    # table it is made on is partitioned.
    keys = table["partition_keys"] if definition.unique else []
    with connection.transaction(force_rollback=True):
        # LIKE locks the table, if weakly: a plan must not hang behind who has locked it all.
        connection.execute(f"SET LOCAL lock_timeout = {round(catalog.LOCK_TIMEOUT * 1000)}")
        for number, key in enumerate(keys):
            _make_probe(connection, f"{_PROBE}_{number}", table["schema"], definition, key)
        _make_probe(connection, _PROBE, table["schema"], definition)
        row = connection.execute(
            "SELECT to_regclass(%s)::oid::bigint AS oid", (f"pg_temp.{_PROBE}",)
        ).fetchone()
        assert row is not None  # noqa: S101 - one row always
        return catalog.indexes(connection, [row["oid"]])[0].definition


def _make_probe(
    connection: Connection, name: str, schema: str, definition: IndexDefinition, key: str = ""
) -> None:
    """The index on a temporary copy of the table's columns, perhaps partitioned by `key`."""
    source = sql.Identifier(schema, definition.table)
    by = sql.SQL(f" PARTITION BY {key}" if key else "")  # the server's own text of it
    connection.execute(
        sql.SQL("CREATE TEMPORARY TABLE {} (LIKE {})").format(sql.Identifier(name), source) + by
    )
    probe = replace(definition, name=f"{name}_index", schema="pg_temp", table=name)
    try:
        create(connection, probe, concurrently=False)
    except errors.FeatureNotSupported:
        if not key:
            raise
        raise MigrationError(
            f'The unique index "{definition.name}" does not hold the partition key of '
            f"{definition.table}, or of one of its partitions: {key}.",
            hint="Add its columns to the index, or declare the index on each partition.",
        ) from None
