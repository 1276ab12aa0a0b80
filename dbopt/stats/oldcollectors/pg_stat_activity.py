"""pg_stat_activity: how many sessions do what now. No query text."""

from __future__ import annotations

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.stats.view import Collected, View, not_examined

VIEW = View(
    name="activity",
    table="snapshot_activity",
    key=("state", "wait_event_type"),
    gauges=("sessions", "longest_transaction_s"),
)


class ActivityCollector:
    """One row a state and kind of wait."""

    view = VIEW

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """Counts, and the age of the longest transaction of each, in seconds."""
        rows = await fetch(conn, "stats_activity", {"limit": limit})
        finding = None
        if not server.reads_all_stats:
            finding = not_examined(
                "activity",
                server,
                "Other roles' sessions are counted, but their state and waits are hidden.",
                f"GRANT pg_monitor TO {server.quoted_role};",
            )
        return Collected(rows, finding)
