"""What the two estimates of bloat have in common: what they could not estimate, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader, minor
from dbopt.stats.view import Collected, not_examined

READ = "or CREATE EXTENSION pgstattuple, whose functions read what this estimates"
READ_ALL_DATA = 14
"""The version that brought the role pg_read_all_data."""


class BloatReader(Reader):
    """Rows whose bloat is None where pg_stats says too little, and findings that tell so."""

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The largest relations."""
        found = await super().collect(conn, server, limit)
        unknown = [row for row in found.rows if not row["known"]]
        gaps = tuple(self._unknown(server, unknown))
        for row in found.rows:
            del row["known"], row["readable"]
        return replace(found, findings=found.findings + gaps)

    def _unknown(self, server: ServerInfo, rows: list[Row]) -> Iterator[Finding]:
        hidden = sum(not row["readable"] for row in rows)
        if hidden:
            message = f"Of {hidden} relations of 1 MiB and more pg_stats is hidden."
            remedy = f"GRANT pg_read_all_data TO {server.quoted_role};"
            if server.major < READ_ALL_DATA:
                remedy = f"GRANT SELECT ON ALL TABLES IN SCHEMA … TO {server.quoted_role};"
            yield not_examined(self.view.name, server, message, remedy)
        if len(rows) > hidden:
            message = (
                f"Of {len(rows) - hidden} relations of 1 MiB and more pg_stats says too little: "
                "never analysed, or columns of type name."
            )
            yield minor(self.view.name, server, message, f"Run ANALYZE, {READ}.")
