"""pg_stat_user_tables: how each table is read and written."""

from __future__ import annotations

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.stats.view import Collected, View

VIEW = View(
    name="tables",
    table="snapshot_table",
    key=("relid",),
    labels=("schema", "name"),
    counters=(
        "seq_scan",
        "seq_tup_read",
        "idx_scan",
        "idx_tup_fetch",
        "n_tup_ins",
        "n_tup_upd",
        "n_tup_del",
        "n_tup_hot_upd",
        "vacuums",
        "analyzes",
    ),
    gauges=("n_live_tup", "n_dead_tup", "n_mod_since_analyze", "bytes"),
)


class TablesCollector:
    """One row a table, dbopt's own left out."""

    view = VIEW

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The tables that have moved the most rows."""
        rows = await fetch(conn, "stats_tables", {"limit": limit})
        return Collected(rows, truncated=len(rows) == limit)
