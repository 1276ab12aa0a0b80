"""Healths for the tests: one that is well, and the same with something wrong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import (
    Archiver,
    Checkpoints,
    Database,
    Parameter,
    Role,
    Server,
    Session,
    Statements,
    Table,
)
from dbopt.sql.findings import Severity

HOUR, DAY, GB, MB = 3600.0, 86400.0, 1 << 30, 1 << 20
NOW = datetime(2026, 11, 1, tzinfo=UTC)
SERVER = Server(
    version_num=180006,
    in_recovery=False,
    now=NOW,
    started_at=NOW,
    database="app",
    role="dbopt",
    is_superuser=True,
    reads_all_stats=True,
    reads_all_settings=True,
    bytes=GB,
    statements_version="1.12",
    statements_schema="public",
    clock_skew=0.01,
)
SETTINGS: dict[str, tuple[str, str]] = {
    "archive_command": ("cp %p /archive/%f", ""),
    "archive_library": ("", ""),
    "archive_mode": ("on", ""),
    "autovacuum": ("on", ""),
    "autovacuum_analyze_scale_factor": ("0.1", ""),
    "autovacuum_analyze_threshold": ("50", ""),
    "autovacuum_freeze_max_age": ("200000000", ""),
    "autovacuum_max_workers": ("3", ""),
    "autovacuum_multixact_freeze_max_age": ("400000000", ""),
    "autovacuum_vacuum_max_threshold": ("100000000", ""),
    "autovacuum_vacuum_scale_factor": ("0.2", ""),
    "autovacuum_vacuum_threshold": ("50", ""),
    "checkpoint_completion_target": ("0.9", ""),
    "checkpoint_timeout": ("300", "s"),
    "data_checksums": ("on", ""),
    "default_statistics_target": ("100", ""),
    "effective_cache_size": ("1572864", "8kB"),
    "enable_seqscan": ("on", ""),
    "fsync": ("on", ""),
    "full_page_writes": ("on", ""),
    "huge_pages_status": ("on", ""),
    "idle_in_transaction_session_timeout": ("60000", "ms"),
    "ignore_checksum_failure": ("off", ""),
    "jit": ("off", ""),
    "listen_addresses": ("*", ""),
    "log_lock_waits": ("on", ""),
    "log_min_duration_sample": ("-1", "ms"),
    "log_min_duration_statement": ("1000", "ms"),
    "max_connections": ("100", ""),
    "max_wal_size": ("1024", "MB"),
    "password_encryption": ("scram-sha-256", ""),
    "pg_stat_statements.max": ("5000", ""),
    "random_page_cost": ("1.1", ""),
    "reserved_connections": ("0", ""),
    "shared_buffers": ("524288", "8kB"),
    "ssl": ("on", ""),
    "statement_timeout": ("60000", "ms"),
    "superuser_reserved_connections": ("3", ""),
    "synchronous_commit": ("on", ""),
    "synchronous_standby_names": ("", ""),
    "track_counts": ("on", ""),
    "track_io_timing": ("on", ""),
    "transaction_timeout": ("0", "ms"),
    "wal_level": ("replica", ""),
    "work_mem": ("4096", "kB"),
    "zero_damaged_pages": ("off", ""),
}


def parameters(**changed: str) -> dict[str, Parameter]:
    """The parameters of a server that is well, but for these; `a__b` stands for `a.b`."""
    values = {name: setting for name, (setting, _) in SETTINGS.items()}
    values |= {name.replace("__", "."): value for name, value in changed.items()}
    units = {name: unit for name, (_, unit) in SETTINGS.items()}
    return {
        name: Parameter(name, value, units.get(name, ""), "configuration file", "on")
        for name, value in values.items()
    }


def health(settings: Mapping[str, str] | None = None, **parts: Any) -> Health:
    """A server that is well, but for these settings and parts; a part may be one thing."""
    well = Health(
        SERVER,
        parameters(**(settings or {})),
        databases=(Database("app", commits=100_000, counted_seconds=30 * DAY, xid_age=1000),),
        checkpoints=(Checkpoints(timed=1000, requested=10),),
        roles=(Role("app"),),
        archiver=(Archiver(archived=10, failed=0, archived_ago=10.0),),
        statements=(Statements(0, DAY),),
        sessions=(Session(10, "app", "app", "web", state="idle", state_seconds=1.0),),
        tables=(
            Table("public", "t", rows=50_000, live=50_000, vacuumed_ago=10.0, analyzed_ago=10.0),
        ),
    )
    as_tuples: dict[str, Any] = {
        name: part if isinstance(part, tuple | dict | Server) else (part,)
        for name, part in parts.items()
    }
    return replace(well, **as_tuples)


def server(**changed: Any) -> Server:
    """The server that is well, but for this."""
    return replace(SERVER, **changed)


def database(**changed: Any) -> Database:
    """A database whose counters have counted for 30 days."""
    return replace(Database("app", counted_seconds=30 * DAY), **changed)


def session(pid: int = 11, **changed: Any) -> Session:
    """A session of an application."""
    return replace(Session(pid, "app", "app", "web", state="active"), **changed)


def table(**changed: Any) -> Table:
    """A table of 50,000 rows that was vacuumed and analyzed just now."""
    plain = Table("public", "t", rows=50_000, live=50_000, vacuumed_ago=10.0, analyzed_ago=10.0)
    return replace(plain, **changed)


@dataclass(frozen=True)
class Example:
    """A health in which a rule fires, with what it says, and a near one in which it does not.

    `remedy` is a part of the remedy; `quiet` is by default the server that is well.
    """

    rule: str
    fires: Health
    severity: Severity
    object: str
    remedy: str = ""
    quiet: Health = field(default_factory=health)
    limits: Check = field(default_factory=Check)
