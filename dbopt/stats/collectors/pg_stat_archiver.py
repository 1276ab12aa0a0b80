"""pg_stat_archiver: WAL files that were archived, and failures."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="archiver",
    key=(),
    labels=("last_failed_wal",),
    counters=("archived_count", "failed_count"),
    gauges=("archiving", "last_archived_at", "last_failed_at"),
    of_server=True,
)

READER = Reader(VIEW, "collect_archiver", resets=True)
