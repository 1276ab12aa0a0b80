"""pg_stat_database: transactions, blocks, rows, sessions of each database of the server."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding
from dbopt.stats.collectors.reading import Reader, minor
from dbopt.stats.view import View, not_examined

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


def _gaps(server: ServerInfo) -> Iterator[Finding]:
    if not server.track_counts:
        message = "track_counts is off: tables, indexes and transactions are not counted."
        remedy = "ALTER SYSTEM SET track_counts = on; SELECT pg_reload_conf();"
        yield not_examined("database", server, message, remedy)
    if not server.track_io_timing:
        message = "track_io_timing is off: how long reads and writes take is not measured."
        remedy = "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();"
        yield minor("database", server, message, remedy)


READER = Reader(VIEW, "collect_database", gaps=_gaps)
