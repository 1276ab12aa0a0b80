from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbopt.stats.exposition import derived
from dbopt.stats.view import Collected
from tests.unit.stats.exposition.rows import SERVER, row


def seen(**views: list[dict[str, Any]]) -> dict[tuple[str, tuple[str, ...]], Any]:
    latest = {name: Collected(rows=rows) for name, rows in views.items()}
    return {(s.name, s.labels): s.value for s in derived.samples(latest, SERVER, 2000.0)}


def test_the_server_itself() -> None:
    found = seen()
    assert 1 == found["pg_static", ("18.1", "PostgreSQL 18.1")]
    assert SERVER.started_at.timestamp() == found["pg_postmaster_start_time_seconds", ()]
    assert 0 == found["pg_replication_is_replica", ()]
    assert 0 == found["pg_replication_lag_seconds", ()]


def test_a_standby_lags() -> None:
    standby = replace(SERVER, in_recovery=True)
    latest = {"wal_receiver": Collected(rows=[row("wal_receiver", replay_delay_us=2_500_000)])}
    found = {s.name: s.value for s in derived.samples(latest, standby, 0.0)}
    assert 1 == found["pg_replication_is_replica"]
    assert 2.5 == found["pg_replication_lag_seconds"]
    unknown = {s.name for s in derived.samples({}, standby, 0.0)}
    assert "pg_replication_lag_seconds" not in unknown


def test_slots_say_where_they_are() -> None:
    found = seen(
        wal=[row("wal", lsn_bytes=1000)],
        replication_slots=[
            row("replication_slots", slot_name="s", slot_type="logical", wal_status="extended",
                confirmed_lag_bytes=300),
        ],
    )  # fmt: skip
    slot = ("s", "logical")
    assert 1 == found["pg_replication_slot_wal_status", (*slot, "extended")]
    assert 1000 == found["pg_replication_slot_slot_current_wal_lsn", slot]
    assert 700 == found["pg_replication_slot_slot_confirmed_flush_lsn", slot]


def test_locks_by_mode_and_those_that_are_awaited() -> None:
    lock = {"datname": "app", "mode": "AccessShareLock"}
    found = seen(
        locks=[
            row("locks", **lock, granted=True, locks=3),
            row("locks", **lock, granted=False, locks=2, longest_wait_us=1_500_000),
        ]
    )
    labels = ("app", "accesssharelock")
    assert 5 == found["pg_locks_count", labels]
    assert 2 == found["dbopt_locks_waiting", labels]
    assert 1.5 == found["dbopt_locks_longest_wait_seconds", labels]


def test_the_archive_ages_and_a_transaction_too() -> None:
    found = seen(
        archiver=[row("archiver", last_archived_at=1990)],
        activity=[
            row("activity", state="active", longest_transaction_us=4_000_000),
            row("activity", state="idle", longest_transaction_us=9_000_000),
        ],
    )
    assert 10 == found["pg_stat_archiver_last_archive_age", ()]
    assert 4 == found["pg_long_running_transactions_oldest_timestamp_seconds", ()]


def test_a_vacuum_is_on_its_way() -> None:
    one = row(
        "progress", pid=1, command="VACUUM", datname="app", schemaname="public", relname="songs",
        phase="scanning heap", unit="blocks", done=25, total=100, running_us=2_000_000,
    )  # fmt: skip
    found = seen(progress=[one, one | {"pid": 2}])
    table = ("app", "public.songs")
    assert 0.25 == found["dbopt_progress_done_ratio", ("VACUUM", *table)]
    assert 2 == found["dbopt_progress_running_seconds", ("VACUUM", *table)]
    assert 100 == found["pg_stat_progress_vacuum_heap_blks", table]
    assert 25 == found["pg_stat_progress_vacuum_heap_blks_scanned", table]
    assert 1 == found["pg_stat_progress_vacuum_phase", (*table, "scanning heap")]


@pytest.mark.parametrize(
    ("name", "setting", "unit", "metric", "value"),
    [
        ("work_mem", "4096", "kB", "pg_settings_work_mem_bytes", 4194304),
        ("shared_buffers", "16384", "8kB", "pg_settings_shared_buffers_bytes", 134217728),
        ("checkpoint_timeout", "5", "min", "pg_settings_checkpoint_timeout_seconds", 300),
        ("statement_timeout", "-1", "ms", "pg_settings_statement_timeout_seconds", -1),
        ("fsync", "off", "", "pg_settings_fsync", 0),
        ("random_page_cost", "1.1", None, "pg_settings_random_page_cost", 1.1),
    ],
)
def test_settings_have_base_units(
    name: str, setting: str, unit: str | None, metric: str, value: float
) -> None:
    found = seen(settings=[row("settings", name=name, setting=setting, unit=unit)])
    assert value == found[metric, ()]


def test_settings_that_are_words_or_unknown_are_left_out() -> None:
    found = seen(
        settings=[
            row("settings", name="wal_compression", setting="zstd", unit=None),
            row("settings", name="my.own", setting="1", unit=None),
        ]
    )
    assert [] == [name for name, _ in found if name.startswith("pg_settings")]
