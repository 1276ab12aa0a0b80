"""The thresholds of `dbopt check`: mostly what check_postgres, PgHero and pganalyze use."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dbopt.setting import option


def _seconds(default: float, doc: str) -> Any:
    return option(float(default), doc, unit="s", low=0, high=1e9, reload=True)


def _share(default: float, doc: str) -> Any:
    return option(default, doc, low=0, high=1, reload=True)


def _times(default: float, doc: str) -> Any:
    return option(float(default), doc, unit="times", low=0, high=1e9, reload=True)


def _count(default: int, doc: str, unit: str = "") -> Any:
    return option(default, doc, unit=unit, low=0, high=10**15, reload=True)


@dataclass(frozen=True, slots=True)
class Check:
    """Health checks: `dbopt check`, and the daemon's own rounds."""

    interval: float = option(
        300.0, "Time between two rounds of the daemon. 0: none.", unit="s", low=0, high=86400
    )
    ignore: str = option(
        "",
        "Findings that are not reported, separated by commas: a rule, or rule:object. Both may "
        "hold the wildcards * and ?.",
        reload=True,
    )
    xid_warning: float = _share(0.4, "Share of all transaction ids that are used: warning.")
    xid_critical: float = _share(
        0.7, "The same: critical. vacuum_failsafe_age is 0.75 of them by default."
    )
    freeze_warning: float = _times(
        1.5, "A table's age, in autovacuum_freeze_max_age: autovacuum has not come by then."
    )
    xmin_warning: int = _count(
        10_000_000, "Transactions that VACUUM may not clean up after: warning.", "transactions"
    )
    xmin_critical: int = _count(200_000_000, "The same: critical.", "transactions")
    blocking_warning: float = _seconds(10, "How long a lock is waited for: warning.")
    blocking_critical: float = _seconds(60, "The same: critical.")
    transaction_warning: float = _seconds(300, "Age of a transaction: warning.")
    transaction_critical: float = _seconds(3600, "The same: critical.")
    idle_transaction_warning: float = _seconds(60, "How long one idles: warning.")
    idle_transaction_critical: float = _seconds(600, "The same: critical.")
    query_warning: float = _seconds(300, "How long a statement runs: warning.")
    query_critical: float = _seconds(3600, "The same: critical.")
    prepared_warning: float = _seconds(60, "Age of a prepared transaction: warning.")
    prepared_critical: float = _seconds(3600, "The same: critical.")
    deadlocks_per_day: float = option(
        5.0, "More are a finding.", unit="a day", low=0, high=1e9, reload=True
    )
    rollback_share: float = _share(0.1, "Share of transactions that roll back: more is a finding.")
    rollback_minimum: int = _count(1000, "Fewer transactions say nothing.")
    counter_window: float = _seconds(
        3600, "Counters that have counted for a shorter time are not judged."
    )
    vacuum_warning: float = _times(
        2.0, "Dead rows of a table, in what makes autovacuum come: warning."
    )
    vacuum_critical: float = _times(10.0, "The same: critical.")
    analyze_warning: float = _times(
        2.0, "Rows changed since ANALYZE, in what makes autovacuum analyze."
    )
    min_rows: int = _count(
        10_000, "Tables with fewer rows need no vacuum or statistics to speak of.", "rows"
    )
    bloat_warning: float = _share(0.5, "Share of a table that its rows do not need: warning.")
    bloat_critical: float = _share(0.8, "The same: critical.")
    bloat_minimum: int = option(
        100, "Smaller tables are no bloat.", unit="MB", low=0, high=10**9, reload=True
    )
    slot_inactive: float = _seconds(300, "How long a replication slot may be unused.")
    slot_wal_warning: int = option(
        1024, "WAL that a slot keeps: warning.", unit="MB", low=0, high=10**9, reload=True
    )
    slot_wal_critical: int = option(
        10_240, "The same: critical.", unit="MB", low=0, high=10**9, reload=True
    )
    lag_warning: float = _seconds(30, "How far a standby is behind: warning.")
    lag_critical: float = _seconds(300, "The same: critical.")
    lag_bytes_warning: int = option(
        100, "The same in WAL: warning.", unit="MB", low=0, high=10**9, reload=True
    )
    lag_bytes_critical: int = option(
        1024, "The same: critical.", unit="MB", low=0, high=10**9, reload=True
    )
    sequence_warning: float = _share(0.7, "Share of a sequence's or key's values: warning.")
    sequence_critical: float = _share(0.9, "The same: critical.")
    connections_warning: float = _share(
        0.8, "Share of the connections allowed that are used: warning."
    )
    connections_critical: float = _share(0.95, "The same: critical.")
    idle_connections: float = _share(
        0.5, "Share of max_connections that idle sessions take: more is a finding."
    )
    cache_hit: float = _share(0.95, "Share of blocks found in shared_buffers: less is a finding.")
    cache_minimum: int = _count(1_000_000, "Fewer blocks asked for say nothing.", "blocks")
    temp_per_hour: int = option(
        1024, "Temporary files: more is a finding.", unit="MB", low=0, high=10**9, reload=True
    )
    requested_checkpoints: float = _share(
        0.5, "Share of checkpoints that came before their time: more is a finding."
    )
    checkpoint_minimum: int = _count(10, "Fewer checkpoints say nothing.")
    shared_buffers: float = _times(
        8.0, "Size of the database, in a shared_buffers that is as initdb leaves it."
    )
    work_mem: float = _times(
        1.0, "work_mem of all connections, in effective_cache_size: more is a finding."
    )
    random_read: float = option(
        1.0,
        "A block that is read faster than this did not come from a turning disk.",
        unit="ms",
        low=0,
        high=1000,
        reload=True,
    )
    huge_pages: int = option(
        8192, "shared_buffers from which huge pages matter.", unit="MB", low=0, reload=True
    )
    expiry_warning: float = option(
        14.0, "Days before a password expires: warning.", unit="days", low=0, reload=True
    )
    eol_warning: float = option(
        180.0, "Days before a version's support ends: warning.", unit="days", low=0, reload=True
    )
    evictions_per_day: float = option(
        24.0,
        "How often pg_stat_statements throws statements out: more is a finding.",
        unit="a day",
        low=0,
        high=1e9,
        reload=True,
    )
    clock_skew: float = _seconds(5, "Difference between the server's clock and ours: a finding.")
