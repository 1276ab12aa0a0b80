"""ATTACH PARTITION: its bounds cannot be parameters."""

from __future__ import annotations

from datetime import datetime

from psycopg import sql

from dbopt.pg.connect import AsyncConnection

Table = tuple[str, str]
"""Schema and name."""


async def attach_range(
    conn: AsyncConnection, parent: Table, child: Table, since: datetime, until: datetime
) -> None:
    """Make `child` the partition of `parent` for `since` <= key < `until`.

    Locks the child and the default partition, and the parent so little that others read and write
    it meanwhile. Raises psycopg.Error: see `dbopt.pg.refusal`.
    """
    await conn.execute(
        sql.SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES FROM ({}) TO ({})").format(
            sql.Identifier(*parent),
            sql.Identifier(*child),
            sql.Literal(since.isoformat()),
            sql.Literal(until.isoformat()),
        )
    )
