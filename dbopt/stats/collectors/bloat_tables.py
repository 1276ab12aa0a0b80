"""Bloat of tables, estimated from pg_stats: what a VACUUM FULL would give back."""

from __future__ import annotations

from dbopt.stats.collectors.bloat import BloatReader
from dbopt.stats.view import View

VIEW = View(
    name="table_bloat",
    key=("relid",),
    labels=("schemaname", "relname"),
    gauges=("real_bytes", "bloat_bytes", "bloat_ppm", "fillfactor"),
    every=3600.0,
)

READER = BloatReader(VIEW, "collect_table_bloat", large=True)
