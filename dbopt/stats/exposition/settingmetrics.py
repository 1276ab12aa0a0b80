"""The server's settings as metrics: those that rules and dashboards ask for. PURE.

Names and units as in postgres_exporter's pg_setting.go. Only settings that are not the default
are collected, so that only those are here; max_connections always is (see servers).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbopt.metrics import Definition, Sample, Type
from dbopt.pg.connect import Row

_BYTES = (
    "shared_buffers work_mem maintenance_work_mem autovacuum_work_mem effective_cache_size "
    "wal_buffers max_wal_size min_wal_size temp_buffers max_slot_wal_keep_size wal_keep_size "
    "logical_decoding_work_mem min_parallel_table_scan_size wal_segment_size"
)
_SECONDS = (
    "checkpoint_timeout autovacuum_naptime statement_timeout lock_timeout deadlock_timeout "
    "idle_in_transaction_session_timeout idle_session_timeout transaction_timeout "
    "log_min_duration_statement autovacuum_vacuum_cost_delay vacuum_cost_delay wal_writer_delay "
    "bgwriter_delay archive_timeout wal_receiver_timeout wal_sender_timeout"
)
_PLAIN = (
    "autovacuum autovacuum_max_workers autovacuum_vacuum_scale_factor "
    "autovacuum_analyze_scale_factor autovacuum_vacuum_threshold autovacuum_freeze_max_age "
    "autovacuum_multixact_freeze_max_age autovacuum_vacuum_cost_limit checkpoint_completion_target "
    "default_statistics_target effective_io_concurrency fsync full_page_writes hot_standby "
    "hot_standby_feedback jit max_locks_per_transaction max_parallel_maintenance_workers "
    "max_parallel_workers max_parallel_workers_per_gather max_pred_locks_per_transaction "
    "max_prepared_transactions max_replication_slots max_wal_senders max_worker_processes "
    "random_page_cost seq_page_cost synchronous_commit track_activities track_counts "
    "track_io_timing vacuum_cost_limit wal_compression wal_log_hints"
)
_UNITS = {
    "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0,
    "B": 1.0, "kB": 1024.0, "8kB": 8192.0, "16kB": 16384.0, "32kB": 32768.0, "MB": 2.0**20,
    "16MB": 2.0**24, "32MB": 2.0**25, "64MB": 2.0**26, "GB": 2.0**30, "TB": 2.0**40,
}  # fmt: skip
_SWITCHES = {"on": 1.0, "off": 0.0}

_NAMES: dict[str, str] = {
    **{name: f"pg_settings_{name}_bytes" for name in _BYTES.split()},
    **{name: f"pg_settings_{name}_seconds" for name in _SECONDS.split()},
    **{name: f"pg_settings_{name}" for name in _PLAIN.split()},
}

DEFINITIONS: tuple[Definition, ...] = tuple(
    Definition(metric, Type.GAUGE, f"The server's {name}, where it is set.", absent=True)
    for name, metric in _NAMES.items()
)


def samples(rows: Sequence[Row]) -> Iterator[Sample]:
    """The settings of these rows that are numbers or switches."""
    for row in rows:
        metric = _NAMES.get(row["name"])
        value = _value(str(row["setting"]), row["unit"] or "") if metric else None
        if metric and value is not None:
            yield Sample(metric, value)


def _value(setting: str, unit: str) -> float | None:
    if setting in _SWITCHES:
        return _SWITCHES[setting]
    try:
        value = float(setting)
    except ValueError:
        return None
    # -1 has a meaning of its own: it is no measure.
    return value if value == -1.0 else value * _UNITS.get(unit, 1.0)
