"""Families of the server as a whole, and of its databases. PURE."""

from __future__ import annotations

from dbopt.stats.exposition.family import Column, Family

_C = Column

_DATABASE = (("datid", "datid"), ("datname", "datname"))
_SESSIONS = (
    ("datname", "datname"),
    ("state", "state"),
    ("usename", "usename"),
    ("application_name", "application_name"),
    ("wait_event_type", "wait_event_type"),
)
_IO = (("backend_type", "backend_type"), ("object", "object"), ("context", "context"))
_D, _B, _K = "pg_stat_database_", "pg_stat_bgwriter_", "pg_stat_checkpointer_"
_W, _I, _CONFLICTS = "pg_stat_wal_", "pg_stat_io_", "pg_stat_database_conflicts_"

ACTIVITY = Family(
    "activity", _SESSIONS, rank=("sessions",),
    columns=(
        _C("sessions", "pg_stat_activity_count", "Sessions in this state."),
        _C("longest_transaction_us", "pg_stat_activity_max_tx_duration",
           "How long the oldest transaction has run, seconds.", per=1e-6),
        _C("longest_query_us", "dbopt_activity_longest_query_seconds", "The oldest statement."),
        _C("longest_state_us", "dbopt_activity_longest_state_seconds", "Longest in this state."),
    ),
)  # fmt: skip

DATABASE = Family(
    "database", _DATABASE, rank=("xact_commit",),
    columns=(
        _C("numbackends", _D + "numbackends", "Backends connected now."),
        _C("xact_commit", _D + "xact_commit", "Transactions committed."),
        _C("xact_rollback", _D + "xact_rollback", "Transactions rolled back."),
        _C("blks_read", _D + "blks_read", "Blocks read."),
        _C("blks_hit", _D + "blks_hit", "Blocks found in shared buffers."),
        _C("tup_returned", _D + "tup_returned", "Rows returned by scans."),
        _C("tup_fetched", _D + "tup_fetched", "Rows fetched by index scans."),
        _C("tup_inserted", _D + "tup_inserted", "Rows inserted."),
        _C("tup_updated", _D + "tup_updated", "Rows updated."),
        _C("tup_deleted", _D + "tup_deleted", "Rows deleted."),
        _C("conflicts", _D + "conflicts", "Queries cancelled by recovery."),
        _C("temp_files", _D + "temp_files", "Temporary files made."),
        _C("temp_bytes", _D + "temp_bytes", "Bytes written to temporary files."),
        _C("deadlocks", _D + "deadlocks", "Deadlocks."),
        _C("blk_read_us", _D + "blk_read_time", "Time spent reading blocks, milliseconds."),
        _C("blk_write_us", _D + "blk_write_time", "Time spent writing blocks, milliseconds."),
        _C("stats_reset_at", _D + "stats_reset", "When its counters began, epoch seconds."),
        _C("active_us", _D + "active_time_seconds_total", "Time spent executing."),
    ),
)  # fmt: skip

OWN_DATABASE = Family(
    "database", (("database", "datname"),), rank=("xact_commit",),
    columns=(
        _C("checksum_failures", "dbopt_database_checksum_failures_total", "Pages damaged."),
        _C("session_us", "dbopt_database_session_seconds_total", "Time of all sessions."),
        _C("idle_in_transaction_us", "dbopt_database_idle_in_transaction_seconds_total",
           "Time in which sessions idled in a transaction."),
        _C("sessions", "dbopt_database_sessions_total", "Sessions begun."),
        _C("sessions_abandoned", "dbopt_database_sessions_abandoned_total", "Clients lost."),
        _C("sessions_fatal", "dbopt_database_sessions_fatal_total", "Ended by an error."),
        _C("sessions_killed", "dbopt_database_sessions_killed_total", "Ended by an operator."),
    ),
)  # fmt: skip

CONFLICTS = Family(
    "database_conflicts", _DATABASE,
    columns=(
        _C("confl_tablespace", _CONFLICTS + "confl_tablespace", "Dropped tablespaces."),
        _C("confl_lock", _CONFLICTS + "confl_lock", "Lock timeouts."),
        _C("confl_snapshot", _CONFLICTS + "confl_snapshot", "Old snapshots."),
        _C("confl_bufferpin", _CONFLICTS + "confl_bufferpin", "Pinned buffers."),
        _C("confl_deadlock", _CONFLICTS + "confl_deadlock", "Deadlocks."),
        _C("confl_active_logicalslot", _CONFLICTS + "confl_active_logicalslot", "Slots."),
    ),
)  # fmt: skip

SIZE = Family(
    "database_storage", (("datname", "datname"),), rank=("size_bytes",),
    columns=(
        _C("size_bytes", "pg_database_size_bytes", "Disk space of the database."),
        _C("datconnlimit", "pg_database_connection_limit", "Its limit of connections; -1: none."),
        _C("xid_age", "pg_database_wraparound_age_datfrozenxid_seconds",
           "Transactions (not seconds) since the oldest unfrozen one."),
        _C("mxid_age", "pg_database_wraparound_age_datminmxid_seconds",
           "Multixacts (not seconds) since the oldest."),
    ),
)  # fmt: skip

BGWRITER = Family(
    "bgwriter", (),
    columns=(
        _C("buffers_clean", _B + "buffers_clean_total", "Buffers written by the bgwriter."),
        _C("maxwritten_clean", _B + "maxwritten_clean_total", "Rounds cut short."),
        _C("buffers_alloc", _B + "buffers_alloc_total", "Buffers allocated."),
        _C("buffers_backend", _B + "buffers_backend_total", "Buffers that backends wrote."),
        _C("buffers_backend_fsync", _B + "buffers_backend_fsync_total", "Backends' fsyncs."),
    ),
)  # fmt: skip

OLD_CHECKPOINTS = Family(
    "checkpointer", (),
    columns=(
        _C("num_timed", _B + "checkpoints_timed_total", "Checkpoints by checkpoint_timeout."),
        _C("num_requested", _B + "checkpoints_req_total", "Checkpoints that were requested."),
        _C("write_us", _B + "checkpoint_write_time_total", "Writing files, milliseconds."),
        _C("sync_us", _B + "checkpoint_sync_time_total", "Syncing files, milliseconds."),
        _C("buffers_written", _B + "buffers_checkpoint_total", "Buffers that they wrote."),
    ),
)  # fmt: skip
"""The names of servers before 17; given for all, so that a dashboard outlives an upgrade."""

CHECKPOINTER = Family(
    "checkpointer", (),
    columns=(
        _C("num_timed", _K + "num_timed_total", "Checkpoints by checkpoint_timeout."),
        _C("num_requested", _K + "num_requested_total", "Checkpoints that were requested."),
        _C("restartpoints_timed", _K + "restartpoints_timed_total", "Scheduled restartpoints."),
        _C("restartpoints_req", _K + "restartpoints_req_total", "Requested restartpoints."),
        _C("restartpoints_done", _K + "restartpoints_done_total", "Restartpoints performed."),
        _C("write_us", _K + "write_time_total", "Writing files, milliseconds."),
        _C("sync_us", _K + "sync_time_total", "Syncing files, milliseconds."),
        _C("buffers_written", _K + "buffers_written_total", "Buffers written."),
    ),
)  # fmt: skip

WAL = Family(
    "wal", (),
    columns=(
        _C("wal_records", _W + "wal_records", "WAL records."),
        _C("wal_fpi", _W + "wal_fpi", "Full page images."),
        _C("wal_bytes", _W + "wal_bytes", "Bytes of WAL."),
        _C("wal_buffers_full", _W + "wal_buffers_full", "Writes since wal_buffers were full."),
        _C("wal_write", _W + "wal_write", "Writes of WAL."),
        _C("wal_sync", _W + "wal_sync", "Syncs of WAL."),
        _C("wal_write_us", _W + "wal_write_time", "Writing WAL, milliseconds."),
        _C("wal_sync_us", _W + "wal_sync_time", "Syncing WAL, milliseconds."),
        _C("lsn_bytes", "pg_wal_lsn_location_bytes", "The WAL position."),
    ),
)  # fmt: skip

WAL_DIRECTORY = Family(
    "wal_directory", (),
    columns=(
        _C("files", "pg_wal_segments", "WAL files."),
        _C("size_bytes", "pg_wal_size_bytes", "Their size."),
    ),
)  # fmt: skip

IO = Family(
    "io", _IO, rank=("reads", "writes", "hits"),
    columns=(
        _C("reads", _I + "reads_total", "Reads."),
        _C("read_us", _I + "read_time_total", "Reading, milliseconds."),
        _C("writes", _I + "writes_total", "Writes."),
        _C("write_us", _I + "writes_time_total", "Writing, milliseconds."),
        _C("writebacks", _I + "write_back_total", "Blocks that the kernel was asked to write."),
        _C("writeback_us", _I + "write_back_time_total", "Asking it, milliseconds."),
        _C("extends", _I + "extends_total", "Relations made longer."),
        _C("extend_us", _I + "extends_time_total", "Making them longer, milliseconds."),
        _C("hits", _I + "hits_total", "Blocks found in shared buffers."),
        _C("evictions", _I + "evictions_total", "Blocks evicted."),
        _C("reuses", _I + "reuses_total", "Buffers of a ring used again."),
        _C("fsyncs", _I + "fsync_total", "Syncs."),
        _C("fsync_us", _I + "fsync_time_total", "Syncing, milliseconds."),
        _C("read_bytes", "dbopt_io_read_bytes_total", "Bytes read."),
        _C("write_bytes", "dbopt_io_write_bytes_total", "Bytes written."),
        _C("extend_bytes", "dbopt_io_extend_bytes_total", "Bytes by which files grew."),
    ),
)  # fmt: skip

SLRU = Family(
    "slru", (("name", "name"),),
    columns=(
        _C("blks_hit", "dbopt_slru_blocks_hit_total", "Blocks found in the cache."),
        _C("blks_read", "dbopt_slru_blocks_read_total", "Blocks read."),
        _C("blks_written", "dbopt_slru_blocks_written_total", "Blocks written."),
    ),
)  # fmt: skip

CONNECTIONS = Family(
    "connections", (),
    columns=(
        _C("sessions", "dbopt_server_sessions", "Sessions of clients, on the server."),
        _C("max_connections", "pg_settings_max_connections", "Connections at most."),
        _C("superuser_reserved_connections", "pg_settings_superuser_reserved_connections",
           "Of them, kept for superusers."),
        _C("ssl", "dbopt_server_sessions_encrypted", "Of the sessions, those with TLS."),
        _C("autovacuum_workers", "dbopt_server_autovacuum_workers", "Autovacuum workers."),
        _C("parallel_workers", "dbopt_server_parallel_workers", "Parallel workers."),
        _C("walsenders", "dbopt_server_walsenders", "Connections that send WAL."),
    ),
)  # fmt: skip

ARCHIVER = Family(
    "archiver", (),
    columns=(
        _C("archived_count", "pg_stat_archiver_archived_count", "WAL files archived."),
        _C("failed_count", "pg_stat_archiver_failed_count", "Attempts that failed."),
    ),
)  # fmt: skip

FAMILIES = (
    ACTIVITY, DATABASE, OWN_DATABASE, CONFLICTS, SIZE, BGWRITER, OLD_CHECKPOINTS, CHECKPOINTER,
    WAL, WAL_DIRECTORY, IO, SLRU, ARCHIVER, CONNECTIONS,
)  # fmt: skip
