"""pg_stat_recovery_prefetch: blocks that recovery reads ahead."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="recovery_prefetch",
    key=(),
    counters=("prefetch", "hit", "skip_init", "skip_new", "skip_fpw", "skip_rep"),
    gauges=("wal_distance_bytes", "block_distance", "io_depth"),
    of_server=True,
)

READER = Reader(VIEW, "collect_recovery_prefetch", since=15, standby=True, resets=True)
