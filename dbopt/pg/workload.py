"""What pg_stat_statements knows of this database's statements."""

from __future__ import annotations

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
    with translated("Reading pg_stat_statements"):
        where = connection.execute(statement("index_statements_schema")).fetchone()
        if where is None:
            raise UsageError("pg_stat_statements is not installed in this database.", hint=_HINT)
        view = sql.Identifier(where["schema"], "pg_stat_statements")
        text = sql.SQL(statement("index_workload")).format(view=view)
        try:
            return connection.execute(text, {"limit": limit}).fetchall()
        except errors.ObjectNotInPrerequisiteState:
            raise UsageError("pg_stat_statements is not preloaded.", hint=_HINT) from None


def hides_statements(connection: Connection) -> bool:
    """Whether this role sees its own statements alone. Raises QueryFailed or ServerLost."""
    with translated("Reading this role's privileges"):
        row = connection.execute(statement("index_workload_hidden")).fetchone()
    return bool(row and row["hidden"])
