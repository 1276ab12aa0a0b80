"""pg_stat_wal: WAL that was made, and where it stands (all that there is on 13)."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader, minor, too_old
from dbopt.stats.view import View

VIEW = View(
    name="wal",
    key=(),
    counters=(
        "wal_records",
        "wal_fpi",
        "wal_bytes",
        "wal_buffers_full",
        "wal_write",
        "wal_sync",
        "wal_write_us",
        "wal_sync_us",
    ),
    gauges=("lsn_bytes",),
    of_server=True,
)

SINCE = 14
"""The first version with pg_stat_wal; before it there is the position alone."""


def _gaps(server: ServerInfo) -> Iterator[Finding]:
    if server.major < SINCE:
        yield too_old("wal", server, SINCE)
    elif not server.track_wal_io_timing:
        message = "track_wal_io_timing is off: how long WAL takes to be written is not measured."
        remedy = "ALTER SYSTEM SET track_wal_io_timing = on; SELECT pg_reload_conf();"
        yield minor("wal", server, message, remedy)


READER = Reader(VIEW, "collect_wal", gaps=_gaps, resets=True)
