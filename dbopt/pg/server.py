"""ServerInfo: what a server is, and what it lets us see. Read once, in one query."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """One database of one server, as dbopt's role sees it at `now` (the server's clock).

    `address` is what the server calls itself, host:port. `statements_version` is the
    *extension's* version, which stays old until ALTER EXTENSION UPDATE; it is "" where the
    extension is not in this database. `statements_loaded`: its library is preloaded.
    `statements_track` is its setting track, `statements_planning` its track_planning. Settings
    are as our own session has them.
    """

    version_num: int
    in_recovery: bool
    database: str
    address: str
    now: datetime
    started_at: datetime
    role: str
    is_monitor: bool
    reads_all_stats: bool
    track_io_timing: bool
    track_counts: bool
    statements_loaded: bool
    statements_version: str
    statements_schema: str
    stats_reset: datetime | None
    track_wal_io_timing: bool = False
    track_functions: str = "none"
    track_activities: bool = True
    reads_all_settings: bool = False
    statements_track: str = "top"
    statements_planning: bool = False
    computes_query_id: bool = True

    @property
    def major(self) -> int:
        """The major version, such as 18."""
        return self.version_num // 10000

    @property
    def version(self) -> str:
        """The version as people write it, such as "18.6"."""
        return f"{self.major}.{self.version_num % 10000}"

    @property
    def statements(self) -> int:
        """pg_stat_statements' version as major * 100 + minor (1.11 is 111); 0 without it."""
        if not self.statements_version or not self.statements_loaded:
            return 0
        major, _, minor = self.statements_version.partition(".")
        return int(major) * 100 + int(minor or 0)

    @property
    def quoted_role(self) -> str:
        """Our role as an SQL identifier, for a remedy that a person will run."""
        return '"' + self.role.replace('"', '""') + '"'


async def read_server(conn: AsyncConnection, name: str = "") -> ServerInfo:
    """Ask the server. `name` (server.name) stands for its address, if there is one.

    Raises ServerLost or QueryFailed; a missing privilege is no error.
    """
    with translated("Reading the server's version and settings"):
        rows = await fetch(conn, "server_info")
    return ServerInfo(**rows[0] | ({"address": name} if name else {}))
