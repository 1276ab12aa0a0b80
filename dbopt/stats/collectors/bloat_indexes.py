"""Bloat of btree indexes, estimated from pg_stats: what a REINDEX would give back."""

from __future__ import annotations

from dbopt.stats.collectors.bloat import BloatReader
from dbopt.stats.view import View

VIEW = View(
    name="index_bloat",
    key=("indexrelid",),
    labels=("relid", "schemaname", "relname", "indexrelname"),
    gauges=("real_bytes", "bloat_bytes", "bloat_ppm", "fillfactor"),
    every=3600.0,
)

READER = BloatReader(VIEW, "collect_index_bloat", large=True)
