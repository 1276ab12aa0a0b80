"""pg_sequences and pg_statio_user_sequences: how much of each sequence is used."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="sequences",
    key=("relid",),
    labels=("schemaname", "relname", "data_type", "cycle", "owner", "column_type"),
    counters=("blks_read", "blks_hit"),
    gauges=("last_value", "used_ppm"),
    every=300.0,
)

READER = Reader(VIEW, "collect_sequences")
