"""pg_stat_subscription and pg_stat_subscription_stats: workers, lag and errors of subscriptions."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="subscriptions",
    key=("subid",),
    labels=("subname",),
    counters=(
        "apply_error_count",
        "sync_error_count",
        "confl_insert_exists",
        "confl_update_origin_differs",
        "confl_update_exists",
        "confl_update_missing",
        "confl_delete_origin_differs",
        "confl_delete_missing",
        "confl_multiple_unique_conflicts",
    ),
    gauges=(
        "workers",
        "sync_workers",
        "parallel_workers",
        "lag_bytes",
        "last_msg_receipt_at",
        "latest_end_at",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_subscriptions")
