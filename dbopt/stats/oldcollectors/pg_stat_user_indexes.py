"""pg_stat_user_indexes: how often each index is used, and its size."""

from __future__ import annotations

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.stats.view import Collected, View

VIEW = View(
    name="indexes",
    table="snapshot_index",
    key=("indexrelid",),
    labels=("relid", "schema", "table", "name"),
    counters=("idx_scan", "idx_tup_read", "idx_tup_fetch"),
    gauges=("bytes",),
)


class IndexesCollector:
    """One row an index, those of dbopt's own tables left out."""

    view = VIEW

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The indexes with the most scans."""
        rows = await fetch(conn, "stats_indexes", {"limit": limit})
        return Collected(rows, truncated=len(rows) == limit)
