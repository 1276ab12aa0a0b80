"""pg_class and pg_index: what each index takes on disk, and whether it can be used."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="index_storage",
    key=("indexrelid",),
    labels=("relid", "schemaname", "relname", "indexrelname", "amname"),
    gauges=("index_bytes", "relpages", "reltuples", "indisvalid", "indisready"),
    every=300.0,
)

READER = Reader(VIEW, "collect_index_storage")
