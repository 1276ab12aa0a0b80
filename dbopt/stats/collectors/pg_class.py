"""pg_class: what each table takes on disk, its ages, its visibility map and its options."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
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

READER = Reader(VIEW, "collect_table_storage")
