"""pg_ls_waldir: what the WAL directory holds."""

from __future__ import annotations

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import ServerInfo
from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import Collected, View, not_examined

VIEW = View(
    name="wal_directory",
    key=(),
    gauges=("files", "size_bytes"),
    of_server=True,
    every=300.0,
)


class WalDirectoryReader(Reader):
    """Asks only where the role may look: the function itself is refused to others."""

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """One row."""
        if server.is_monitor:
            return await super().collect(conn, server, limit)
        message = "The size of pg_wal is hidden."
        remedy = f"GRANT pg_monitor TO {server.quoted_role};"
        return Collected(findings=(not_examined("wal_directory", server, message, remedy),))


READER = WalDirectoryReader(VIEW, "collect_wal_directory")
