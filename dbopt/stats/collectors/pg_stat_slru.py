"""pg_stat_slru: the small caches of transaction status and the like."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="slru",
    key=("name",),
    counters=(
        "blks_zeroed",
        "blks_hit",
        "blks_read",
        "blks_written",
        "blks_exists",
        "flushes",
        "truncates",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_slru")
