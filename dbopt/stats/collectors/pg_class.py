"""pg_class: what each table takes on disk, its ages, its visibility map and its options."""

from __future__ import annotations

from dbopt.stats.collectors.storage import StorageCollector
from dbopt.stats.view import View

VIEW = View(
    name="table_storage",
    key=("relid",),
    labels=("schemaname", "relname", "relkind", "relpersistence", "reloptions"),
    gauges=(
        "table_bytes",
        "toast_bytes",
        "indexes_bytes",
        "relpages",
        "reltuples",
        "relallvisible",
        "relallfrozen",
        "xid_age",
        "mxid_age",
    ),
    every=300.0,
)


def collector() -> StorageCollector:
    """One for a server."""
    return StorageCollector(
        VIEW,
        "collect_table_storage",
        "collect_table_sizes",
        ("table_bytes", "toast_bytes", "indexes_bytes"),
    )
