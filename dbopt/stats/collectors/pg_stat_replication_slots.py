"""pg_stat_replication_slots: what logical decoding did, by slot."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="replication_slot_stats",
    key=("slot_name",),
    counters=(
        "spill_txns",
        "spill_count",
        "spill_bytes",
        "stream_txns",
        "stream_count",
        "stream_bytes",
        "total_txns",
        "total_bytes",
    ),
    of_server=True,
)

READER = Reader(VIEW, "collect_replication_slot_stats", since=14)
