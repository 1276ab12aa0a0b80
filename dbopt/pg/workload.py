"""What pg_stat_statements knows of this database's statements."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from psycopg import errors, sql

from dbopt.errors import UsageError
from dbopt.pg.connect import Connection, Row
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement

_HINT = (
    "Add pg_stat_statements to shared_preload_libraries, restart the server, and run "
    "CREATE EXTENSION pg_stat_statements in this database."
)


def top_statements(connection: Connection, limit: int) -> list[Row]:
    """Up to `limit` rows of query, calls and mean_ms, the most expensive in all first.

    Raises UsageError where the extension is not there, else QueryFailed or ServerLost.
    """
    return _statements(connection, "index_workload", {"limit": limit})


def statements_naming(connection: Connection, table: str, limit: int, *, own: bool) -> list[Row]:
    """Up to `limit` rows of query and calls whose text has the table's name in it, the most
    expensive in all first; `own`: those of our own role alone. Raises as `top_statements`.
    """
    wanted = {"table": table, "limit": limit, "own": own}
    return _statements(connection, "index_naming_statements", wanted)


def _statements(connection: Connection, name: str, params: Mapping[str, Any]) -> list[Row]:
    with translated("Reading pg_stat_statements"):
        where = connection.execute(statement("index_statements_schema")).fetchone()
        if where is None:
            raise UsageError("pg_stat_statements is not installed in this database.", hint=_HINT)
        view = sql.Identifier(where["schema"], "pg_stat_statements")
        text = sql.SQL(statement(name)).format(view=view)
        try:
            return connection.execute(text, params).fetchall()
        except errors.ObjectNotInPrerequisiteState:
            raise UsageError("pg_stat_statements is not preloaded.", hint=_HINT) from None


def hides_statements(connection: Connection) -> bool:
    """Whether this role sees its own statements alone. Raises QueryFailed or ServerLost."""
    with translated("Reading this role's privileges"):
        row = connection.execute(statement("index_workload_hidden")).fetchone()
    return bool(row and row["hidden"])
