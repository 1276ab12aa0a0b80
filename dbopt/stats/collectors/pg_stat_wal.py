"""pg_stat_wal: WAL that was made, and where it stands (all that there is on 13)."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
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

READER = Reader(VIEW, "collect_wal")
