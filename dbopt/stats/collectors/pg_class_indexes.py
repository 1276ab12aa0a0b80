"""pg_class and pg_index: what each index takes on disk, and whether it can be used."""

from __future__ import annotations

from dbopt.stats.collectors.storage import StorageCollector
from dbopt.stats.view import View

VIEW = View(
    name="index_storage",
    key=("indexrelid",),
    labels=("relid", "schemaname", "relname", "indexrelname", "amname"),
    gauges=("index_bytes", "relpages", "reltuples", "indisvalid", "indisready"),
    every=300.0,
)


def collector() -> StorageCollector:
    """One for a server."""
    return StorageCollector(VIEW, "collect_index_storage", "collect_index_sizes", ("index_bytes",))
