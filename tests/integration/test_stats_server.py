"""Collectors of statements, sessions, settings and slots; what is not measured is None."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.pg.server import read_server
from dbopt.sql.fingerprint import fingerprint
from dbopt.stats.collectors.pg_stat_activity import READER as ACTIVITY
from dbopt.stats.collectors.pg_stat_statements import StatementsCollector
from tests.integration.collectors_support import (
    check_types,
    look,
    look_with,
    one,
    plain_role,
    prepared,
    rows_of,
    with_options,
)
from tests.integration.store_support import on_connection
from tests.support import wait_until


@pytest.fixture(params=["18", "15"])
def dsn(request: pytest.FixtureRequest) -> str:
    made: str = request.getfixturevalue({"18": "pg_dsn", "15": "pg15_dsn"}[request.param])
    return prepared(made)


@pytest.fixture
def newest(pg_dsn: str) -> str:
    return prepared(pg_dsn)


@pytest.mark.pg(">= 18")
def test_what_this_server_does_not_measure_is_none(newest: str) -> None:
    off = "-c track_io_timing=off -c track_wal_io_timing=off"
    seen = look(with_options(newest, off), "database", "io", "statements", "wal")
    times = {"blk_read_us", "blk_write_us"}
    assert {None} == {row[name] for row in seen["database"].rows for name in times}
    assert {None} == {row["read_us"] for row in seen["io"].rows}
    assert {None} == {row["shared_blk_read_us"] for row in seen["statements"].rows}
    assert "track_io_timing = on" in str(seen["database"].findings)
    assert "track_wal_io_timing = on" in str(seen["wal"].findings)
    on = look(with_options(newest, "-c track_io_timing=on"), "database", "io")
    assert None not in {row["blk_read_us"] for row in on["database"].rows}
    assert None in {row["read_us"] for row in rows_of(on["io"], object="wal")}
    assert "track_io_timing" not in str(on["database"].findings)


def test_older_servers_say_what_they_lack(pg15_dsn: str) -> None:
    seen = look(prepared(pg15_dsn), "io", "checkpointer", "wal", "statements")
    assert "Upgrade to PostgreSQL 16" in seen["io"].findings[0].remedy
    (checkpointer,) = seen["checkpointer"].rows
    assert checkpointer["num_timed"] >= 0
    assert checkpointer["num_done"] is None
    assert "stats_since" not in seen["statements"].rows[0]
    assert seen["checkpointer"].reset is not None
    assert seen["wal"].rows[0]["wal_write"] is not None


def test_a_database_that_we_may_not_enter_has_no_size(newest: str) -> None:
    name = conninfo_to_dict(newest)["dbname"]
    with psycopg.connect(newest, autocommit=True) as conn, plain_role(newest) as nobody:
        assert () == look(nobody, "database_storage")["database_storage"].findings
        conn.execute("REVOKE CONNECT ON DATABASE template1 FROM PUBLIC")
        try:
            collected = look(nobody, "database_storage")["database_storage"]
        finally:
            conn.execute("GRANT CONNECT ON DATABASE template1 TO PUBLIC")
    (hidden,) = rows_of(collected, datname="template1")
    (seen,) = rows_of(collected, datname=name)
    assert (None, True) == (hidden["size_bytes"], seen["size_bytes"] > 0)
    assert "GRANT pg_monitor" in collected.findings[0].remedy


def test_settings_without_secrets(newest: str) -> None:
    given = with_options(newest, "-c work_mem=5MB")
    with psycopg.connect(newest, autocommit=True) as conn:
        name = conninfo_to_dict(newest)["dbname"]
        conn.execute(f"ALTER DATABASE {name} SET random_page_cost = 1.5")
    rows = {row["name"]: row for row in look(given, "settings")["settings"].rows}
    assert ("1.5", "database") == tuple(rows["random_page_cost"][n] for n in ("setting", "source"))
    # What our own connection asked for is not the server's setting.
    assert "work_mem" not in rows
    assert rows["shared_preload_libraries"]["setting"] == "pg_stat_statements"


def test_activity_and_what_holds_back_vacuum(dsn: str) -> None:
    with psycopg.connect(dsn, application_name="clerk") as conn:
        conn.execute("SELECT txid_current()")
        # It answers a moment before it waits for its client.
        wait_until(lambda: rows_of(look(dsn, "activity")["activity"], wait_event_type="Client"))
        seen = look(dsn, "activity", "xmin_horizon", "connections", "locks")
    (row,) = rows_of(seen["activity"], application_name="clerk")
    assert (row["state"], row["wait_event_type"], row["sessions"]) == (
        "idle in transaction", "Client", 1,
    )  # fmt: skip
    assert row["longest_transaction_us"] >= row["longest_state_us"] > 0
    assert row["longest_query_us"] is None
    (holder,) = rows_of(seen["xmin_horizon"], holder="session")
    assert holder["held_us"] > 0
    assert seen["connections"].rows[0]["sessions"] >= 2


@pytest.mark.pg(">= 14")
def test_a_lock_that_is_waited_for(newest: str) -> None:
    with psycopg.connect(newest) as holder, psycopg.connect(newest) as waiter:
        holder.execute("LOCK TABLE item")
        waiter.execute("SET lock_timeout = '5s'")
        waiter.pgconn.send_query(b"LOCK TABLE item")
        name = conninfo_to_dict(newest)["dbname"]

        def waits() -> list[Any]:
            return rows_of(look(newest, "locks")["locks"], datname=name, granted=0)

        (row,) = wait_until(waits, what="the lock to be waited for")
        assert (row["mode"], row["locks"]) == ("AccessExclusiveLock", 1)
        assert row["longest_wait_us"] >= 0
        holder.rollback()
        while waiter.pgconn.get_result():
            pass


@pytest.mark.pg(">= 17")
def test_a_replication_slot(newest: str) -> None:
    with psycopg.connect(newest, autocommit=True) as conn:
        name = conninfo_to_dict(newest)["dbname"]
        conn.execute("SELECT pg_create_physical_replication_slot(%s, true)", (name,))
        try:
            row = one(newest, "replication_slots", slot_name=name)
        finally:
            conn.execute("SELECT pg_drop_replication_slot(%s)", (name,))
    assert (row["slot_type"], row["wal_status"], row["active"]) == ("physical", "reserved", 0)
    assert row["retained_bytes"] >= 0
    assert row["inactive_since_at"] > 1_700_000_000


def test_statements_in_another_schema_and_our_own(newest: str) -> None:
    with psycopg.connect(newest, autocommit=True) as conn:
        conn.execute("DROP EXTENSION pg_stat_statements; CREATE SCHEMA monitoring")
        conn.execute("CREATE EXTENSION pg_stat_statements SCHEMA monitoring")
        conn.execute("SELECT count(*) FROM item WHERE tag = 3")
    collector = StatementsCollector()
    for _ in range(2):
        collected = look_with(newest, [collector])["statements"]
    text = "SELECT COUNT(*) FROM item WHERE tag = $1"
    assert text.lower() in [found.lower() for found in collected.texts.values()]
    assert set(collector.view.columns) == set(collected.rows[0]) - {"stats_since"}
    assert sum(row["calls"] for row in collector.own) > 0
    assert not any("dbopt */" in found for found in collected.texts.values())


def test_what_dbopt_explains_is_still_the_applications(newest: str) -> None:
    sql = "SELECT count(*) FROM item WHERE tag = 5 AND tag <> 6"
    with psycopg.connect(newest, autocommit=True) as conn:
        conn.execute("SET pg_stat_statements.track = 'all'")
        # EXPLAIN's text comes first, under the queryid of what it explains.
        conn.execute("EXPLAIN /* dbopt */ (FORMAT JSON) " + sql)  # type: ignore[arg-type]
        conn.execute(sql)  # type: ignore[arg-type]
    collected = look(newest, "statements")["statements"]
    calls = {row["toplevel"]: row["calls"] for row in collected.rows
             if row["fingerprint"] == fingerprint(sql)}  # fmt: skip
    assert {1: 1} == calls


@pytest.mark.pg(">= 17")
def test_every_version_of_the_extension(newest: str) -> None:
    for version in ("1.8", "1.9", "1.10", "1.11"):
        with psycopg.connect(newest, autocommit=True) as conn:
            conn.execute("DROP EXTENSION pg_stat_statements")
            conn.execute(f"CREATE EXTENSION pg_stat_statements VERSION '{version}'")
            conn.execute("SELECT count(*) FROM item WHERE tag = 3")
        collected = look(newest, "statements")["statements"]
        check_types(StatementsCollector.view, collected.rows[0])
        assert (collected.rows[0]["jit_functions"] is None) == (version in ("1.8", "1.9"))
        assert (collected.dealloc is None) == (version == "1.8")


def test_without_the_extension(newest: str) -> None:
    with psycopg.connect(newest, autocommit=True) as conn:
        conn.execute("DROP EXTENSION pg_stat_statements")
    collected = look(newest, "statements")["statements"]
    assert collected.rows == []
    assert collected.findings[0].remedy == "CREATE EXTENSION pg_stat_statements;"


@pytest.mark.pg(">= 14")
def test_what_the_server_measures(newest: str) -> None:
    given = with_options(
        newest,
        "-c track_functions=pl -c track_activities=off -c pg_stat_statements.track=none "
        "-c pg_stat_statements.track_planning=on -c compute_query_id=off",
    )
    server = on_connection(given, read_server)
    assert (server.track_functions, server.track_activities) == ("pl", False)
    assert (server.statements_track, server.statements_planning) == ("none", True)
    assert (server.computes_query_id, server.reads_all_settings) == (False, True)
    said = str([c.findings for c in look(given, "statements", "activity").values()])
    for remedy in ("statements.track = top", "compute_query_id = auto", "track_activities = on"):
        assert remedy in said
    assert "track_planning" not in said


def test_our_own_sessions_are_no_activity(newest: str) -> None:
    rows = look_with(newest, [ACTIVITY])["activity"].rows
    name = conninfo_to_dict(newest)["dbname"]
    assert [] == [row for row in rows if row["datname"] == name]
