"""pg_stat_wal_receiver, and how far replay is behind: one row on a standby."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader, hidden
from dbopt.stats.view import View

VIEW = View(
    name="wal_receiver",
    key=(),
    labels=("status", "sender_host", "sender_port", "slot_name"),
    gauges=(
        "receiving",
        "replay_paused",
        "receive_lag_bytes",
        "replay_lag_bytes",
        "replay_delay_us",
        "last_msg_receipt_at",
        "latest_end_at",
    ),
    of_server=True,
)

READER = Reader(
    VIEW,
    "collect_wal_receiver",
    standby=True,
    hides_in_rows=True,
    gaps=hidden("wal_receiver", "Where this standby receives from is hidden."),
)
