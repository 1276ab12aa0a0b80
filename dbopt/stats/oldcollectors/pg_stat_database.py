"""pg_stat_database: this database's transactions, blocks, rows, temporary files, deadlocks."""

from __future__ import annotations

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.stats.view import Collected, View, not_examined

VIEW = View(
    name="database",
    table="snapshot_database",
    key=("database",),
    counters=(
        "xact_commit",
        "xact_rollback",
        "blks_read",
        "blks_hit",
        "blk_read_ms",
        "blk_write_ms",
        "tup_returned",
        "tup_fetched",
        "tup_inserted",
        "tup_updated",
        "tup_deleted",
        "conflicts",
        "temp_files",
        "temp_bytes",
        "deadlocks",
    ),
    gauges=("numbackends",),
)


class DatabaseCollector:
    """One row: the current database."""

    view = VIEW

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The row, and when its counters were reset; `limit` changes nothing."""
        rows = await fetch(conn, "stats_database", {"timed": server.track_io_timing})
        reset = rows[0].pop("stats_reset") if rows else None
        finding = None
        if not server.track_counts:
            finding = not_examined(
                "database",
                server,
                "track_counts is off: tables, indexes and transactions are not counted.",
                "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();",
            )
        return Collected(rows, finding, reset=reset)
