"""pg_stat_user_indexes and pg_statio_user_indexes: how often each index is used."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="indexes",
    key=("indexrelid",),
    labels=("relid", "schemaname", "relname", "indexrelname"),
    counters=(
        "idx_scan",
        "idx_tup_read",
        "idx_tup_fetch",
        "idx_blks_read",
        "idx_blks_hit",
    ),
    gauges=("last_idx_scan_at",),
)

READER = Reader(VIEW, "collect_indexes", large=True)
