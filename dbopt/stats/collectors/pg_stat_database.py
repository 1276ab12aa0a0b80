"""pg_stat_database: transactions, blocks, rows, sessions of each database of the server."""

from __future__ import annotations

from dbopt.stats.collectors.reading import Reader
from dbopt.stats.view import View

VIEW = View(
    name="database",
    key=("datid",),
    labels=("datname",),
    counters=(
        "xact_commit",
        "xact_rollback",
        "blks_read",
        "blks_hit",
        "blk_read_us",
        "blk_write_us",
        "tup_returned",
        "tup_fetched",
        "tup_inserted",
        "tup_updated",
        "tup_deleted",
        "conflicts",
        "temp_files",
        "temp_bytes",
        "deadlocks",
        "checksum_failures",
        "session_us",
        "active_us",
        "idle_in_transaction_us",
        "sessions",
        "sessions_abandoned",
        "sessions_fatal",
        "sessions_killed",
        "parallel_workers_to_launch",
        "parallel_workers_launched",
    ),
    gauges=("numbackends", "checksum_last_failure_at", "stats_reset_at"),
    of_server=True,
)

READER = Reader(VIEW, "collect_database")
