"""pg_stat_replication: the standbys and subscribers that this server feeds, and their lags."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader, hidden
from dbopt.stats.view import View

VIEW = View(
    name="replication",
    key=("pid",),
    labels=(
        "application_name",
        "usename",
        "client_addr",
        "state",
        "sync_state",
        "slot_name",
    ),
    gauges=(
        "sent_lag_bytes",
        "write_lag_bytes",
        "flush_lag_bytes",
        "replay_lag_bytes",
        "write_lag_us",
        "flush_lag_us",
        "replay_lag_us",
        "backend_start_at",
        "reply_at",
        "xmin_age",
    ),
    of_server=True,
)

READER = Reader(
    VIEW,
    "collect_replication",
    hides_in_rows=True,
    gaps=hidden("replication", "The lags and the state of standbys are hidden."),
)
