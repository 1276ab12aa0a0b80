"""pg_stat_activity: how many sessions do what now. No query text."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="activity",
    key=("datname", "usename", "application_name", "state", "wait_event_type"),
    gauges=(
        "sessions",
        "longest_transaction_us",
        "longest_query_us",
        "longest_state_us",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_activity")
