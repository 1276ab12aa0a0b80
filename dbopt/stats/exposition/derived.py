"""Metrics that are more than one column of one view, by postgres_exporter's names. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice

from dbopt.metrics import Definition, Sample, Type
from dbopt.pg.connect import Row
from dbopt.pg.server import ServerInfo
from dbopt.stats.exposition import settingmetrics
from dbopt.stats.exposition.family import MOST
from dbopt.stats.view import Collected

_G, _U = Type.GAUGE, Type.UNTYPED
_SLOT = ("slot_name", "slot_type")
_LOCK = ("datname", "mode")
_TABLE = ("datname", "relname")
_PROGRESS = ("command", "datname", "relname")
_VACUUM = "pg_stat_progress_vacuum_"


def _define(name: str, type_: Type, doc: str, labels: tuple[str, ...] = ()) -> Definition:
    return Definition(name, type_, doc, labels, absent=True)


DEFINITIONS: tuple[Definition, ...] = (
    _define("pg_static", _G, "The server's version.", ("short_version", "version")),
    _define("pg_postmaster_start_time_seconds", _G, "When the server was started."),
    _define("pg_replication_is_replica", _G, "1 on a standby."),
    _define("pg_replication_lag_seconds", _G, "A standby's replay behind its primary; else 0."),
    _define("pg_stat_archiver_last_archive_age", _G, "Seconds since a WAL file was archived."),
    _define("pg_replication_slot_wal_status", _G, "1.", (*_SLOT, "wal_status")),
    _define("pg_replication_slot_slot_current_wal_lsn", _G, "The server's position.", _SLOT),
    _define("pg_replication_slot_slot_confirmed_flush_lsn", _G, "The reader's position.", _SLOT),
    _define("pg_locks_count", _U, "Locks that are held or awaited.", _LOCK),
    _define("dbopt_locks_waiting", _G, "Locks that are awaited.", _LOCK),
    _define("dbopt_locks_longest_wait_seconds", _G, "The longest wait for one.", _LOCK),
    _define(
        "pg_long_running_transactions_oldest_timestamp_seconds", _G,
        "Age in seconds of the oldest transaction.",
    ),
    _define("dbopt_progress_done_ratio", _G, "How far a maintenance command is.", _PROGRESS),
    _define("dbopt_progress_running_seconds", _G, "How long it has run.", _PROGRESS),
    _define(_VACUUM + "heap_blks", _G, "Blocks of the table that is vacuumed.", _TABLE),
    _define(_VACUUM + "heap_blks_scanned", _G, "Blocks that it has scanned.", _TABLE),
    _define(_VACUUM + "phase", _G, "1 for the present phase.", (*_TABLE, "phase")),
    *settingmetrics.DEFINITIONS,
)  # fmt: skip


def samples(latest: Mapping[str, Collected], server: ServerInfo, now: float) -> Iterator[Sample]:
    """The values; `now` is epoch seconds."""
    yield Sample("pg_static", 1, (server.version, f"PostgreSQL {server.version}"))
    yield Sample("pg_postmaster_start_time_seconds", server.started_at.timestamp())
    yield from _replication(_rows(latest, "wal_receiver"), server)
    yield from _archiver(_rows(latest, "archiver"), now)
    yield from _slots(_rows(latest, "replication_slots"), _rows(latest, "wal"))
    yield from _locks(_rows(latest, "locks"))
    if "activity" in latest:
        yield from _transactions(_rows(latest, "activity"))
    yield from _progress(_rows(latest, "progress"))
    yield from settingmetrics.samples(_rows(latest, "settings"))


def _rows(latest: Mapping[str, Collected], view: str) -> list[Row]:
    seen = latest.get(view)
    return list(islice(seen.rows, MOST)) if seen is not None else []


def _replication(rows: list[Row], server: ServerInfo) -> Iterator[Sample]:
    yield Sample("pg_replication_is_replica", float(server.in_recovery))
    delay = next((row["replay_delay_us"] for row in rows), None)
    if not server.in_recovery:
        yield Sample("pg_replication_lag_seconds", 0.0)
    elif delay is not None:
        yield Sample("pg_replication_lag_seconds", delay / 1e6)


def _archiver(rows: list[Row], now: float) -> Iterator[Sample]:
    for row in rows:
        if row["last_archived_at"] is not None:
            age = max(0.0, now - row["last_archived_at"])
            yield Sample("pg_stat_archiver_last_archive_age", age)


def _slots(rows: list[Row], wal: list[Row]) -> Iterator[Sample]:
    here = next((row["lsn_bytes"] for row in wal), None)
    for row in rows:
        labels = (str(row["slot_name"]), str(row["slot_type"] or ""))
        if row["wal_status"]:
            yield Sample("pg_replication_slot_wal_status", 1, (*labels, str(row["wal_status"])))
        if here is None:
            continue
        yield Sample("pg_replication_slot_slot_current_wal_lsn", here, labels)
        if row["confirmed_lag_bytes"] is not None:
            confirmed = here - row["confirmed_lag_bytes"]
            yield Sample("pg_replication_slot_slot_confirmed_flush_lsn", confirmed, labels)


def _locks(rows: list[Row]) -> Iterator[Sample]:
    counts: dict[tuple[str, str], float] = {}
    for row in rows:
        labels = (str(row["datname"] or ""), str(row["mode"]).lower())
        counts[labels] = counts.get(labels, 0.0) + (row["locks"] or 0)
        if not row["granted"]:
            yield Sample("dbopt_locks_waiting", row["locks"] or 0, labels)
            longest = (row["longest_wait_us"] or 0) / 1e6
            yield Sample("dbopt_locks_longest_wait_seconds", longest, labels)
    for labels, count in counts.items():
        yield Sample("pg_locks_count", count, labels)


def _transactions(rows: list[Row]) -> Iterator[Sample]:
    ages = [row["longest_transaction_us"] or 0 for row in rows if row["state"] != "idle"]
    name = "pg_long_running_transactions_oldest_timestamp_seconds"
    yield Sample(name, max(ages, default=0) / 1e6)


def _progress(rows: list[Row]) -> Iterator[Sample]:
    seen: set[tuple[str, ...]] = set()
    for row in rows:
        table = (str(row["datname"] or ""), _table(row))
        labels = (str(row["command"]), *table)
        if labels in seen:  # the same command twice at once, as COPY may run
            continue
        seen.add(labels)
        if row["total"]:
            done = min(1.0, (row["done"] or 0) / row["total"])
            yield Sample("dbopt_progress_done_ratio", done, labels)
        if row["running_us"] is not None:
            yield Sample("dbopt_progress_running_seconds", row["running_us"] / 1e6, labels)
        if row["command"] == "VACUUM":
            yield Sample(_VACUUM + "phase", 1, (*table, str(row["phase"] or "")))
            if str(row["unit"]).startswith("block"):
                yield Sample(_VACUUM + "heap_blks", row["total"] or 0, table)
                yield Sample(_VACUUM + "heap_blks_scanned", row["done"] or 0, table)


def _table(row: Row) -> str:
    if row["relname"]:
        return f"{row['schemaname']}.{row['relname']}" if row["schemaname"] else row["relname"]
    return str(row["relid"] or "")
