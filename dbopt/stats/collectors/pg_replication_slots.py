"""pg_replication_slots: WAL and rows that a slot holds back."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="replication_slots",
    key=("slot_name",),
    labels=(
        "plugin",
        "slot_type",
        "datname",
        "wal_status",
        "invalidation_reason",
    ),
    gauges=(
        "active",
        "temporary",
        "retained_bytes",
        "safe_wal_bytes",
        "confirmed_lag_bytes",
        "xmin_age",
        "catalog_xmin_age",
        "inactive_since_at",
        "conflicting",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_replication_slots")
