"""pg_database: size, age of the oldest transaction, and limit of connections of each database."""

from __future__ import annotations

from dataclasses import replace

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.server import ServerInfo
from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import Collected, View, not_examined

VIEW = View(
    name="database_storage",
    key=("datid",),
    labels=("datname",),
    gauges=("size_bytes", "xid_age", "mxid_age", "datconnlimit", "datallowconn"),
    of_server=True,
    every=300.0,
)


class DatabasesReader(Reader):
    """One row a database; says so where sizes are hidden, which take CONNECT or pg_monitor."""

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The databases by oid."""
        found = await super().collect(conn, server, limit)
        hidden = sum(row["size_bytes"] is None for row in found.rows)
        if not hidden:
            return found
        message = f"The sizes of {hidden} databases, to which we may not connect, are hidden."
        remedy = f"GRANT pg_monitor TO {server.quoted_role};"
        return replace(found, findings=(not_examined(self.view.name, server, message, remedy),))


READER = DatabasesReader(VIEW, "collect_database_storage")
