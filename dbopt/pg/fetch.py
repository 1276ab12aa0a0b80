"""Runs dbopt's own named statements, and COPY into its own tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from psycopg import sql

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.sqlfile import statement

Params = Mapping[str, Any]


async def fetch(
    conn: AsyncConnection,
    name: str,
    params: Params | None = None,
    *,
    version: int = 99,
    **identifiers: str,
) -> list[Row]:
    """The rows of the statement `name`; `{word}` in it is replaced by a quoted identifier.

    `version` chooses among the entries of that name (a server's, or an extension's as
    major * 100 + minor). Raises psycopg.Error: see `dbopt.pg.refusal`.
    """
    text = sql.SQL(statement(name, version)).format(
        **{word: sql.Identifier(value) for word, value in identifiers.items()}
    )
    cursor = await conn.execute(text, params)
    return await cursor.fetchall() if cursor.description else []


def holds_unicode(conn: AsyncConnection) -> bool:
    """Whether the database can hold every character. In another encoding, one that it lacks ends
    the statement with 22P05; SQL_ASCII takes any bytes, but an escape in JSON ends with 0A000."""
    return conn.info.parameter_status("server_encoding") == "UTF8"


async def copy_into(
    conn: AsyncConnection,
    table: tuple[str, str],
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
) -> int:
    """COPY `rows` into `table` (schema, name), and say how many there were."""
    command = sql.SQL("COPY {} ({}) FROM STDIN").format(
        sql.Identifier(*table), sql.SQL(", ").join(map(sql.Identifier, columns))
    )
    count = 0
    async with conn.cursor() as cursor, cursor.copy(command) as copy:
        for row in rows:
            await copy.write_row(row)
            count += 1
    return count
