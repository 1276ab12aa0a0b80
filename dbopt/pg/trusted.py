"""Whether an index definition that came as data would run code of somebody who is not trusted."""

from __future__ import annotations

from psycopg import sql

from dbopt.pg.connect import Connection
from dbopt.pg.refusal import translated
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

_VIEW = "dbopt_probe_view"


def foreign_code(connection: Connection, definition: IndexDefinition) -> list[str]:
    """The functions, operators and domains of the definition's expressions whose owner is neither
    a superuser, nor the table's owner, nor our own role; by name.

    The server tells: it parses the expressions into a temporary view, which runs none of them,
    notes what they depend on, and is rolled back. Raises QueryFailed where it refuses them,
    ServerLost.
    """
    parts = [key.expression for key in definition.keys if not key.is_column]
    parts += [definition.predicate] if definition.predicate else []
    if not parts:
        return []
    table = sql.Identifier(definition.schema, definition.table)
    columns = sql.SQL(", ").join(
        sql.SQL("({}) AS {}").format(sql.SQL(part), sql.Identifier(f"part{number}"))
        for number, part in enumerate(parts)
    )
    view = sql.Identifier("pg_temp", _VIEW)
    probe = sql.SQL("CREATE VIEW {} AS SELECT {} FROM ONLY {}").format(view, columns, table)
    names = {"view": _VIEW, "schema": definition.schema, "table": definition.table}
    what = "Reading the expressions of an index"
    with translated(what), connection.transaction(force_rollback=True):
        # By the extended protocol: one command, whatever the text holds.
        connection.execute(probe, binary=True)
        rows = connection.execute(statement("index_foreign_code"), names).fetchall()
    return [row["name"] for row in rows]
