"""Every collector against real servers: 18 and 15, as superuser, pg_monitor and nobody."""

from __future__ import annotations

import json
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.stats.collectors import VIEWS
from dbopt.stats.collectors.pg_stat_activity import READER as ACTIVITY
from dbopt.stats.collectors.pg_stat_statements import StatementsCollector
from dbopt.stats.view import Collected, View
from tests.fix_pg import Server, fresh_database
from tests.integration.collectors_support import look, look_with, plain_role, with_options
from tests.support import wait_until
from tests.unit.stats.data_pg_columns import CATALOGS, COLUMNS, STATEMENTS, columns

SCHEMA = """
CREATE TABLE item (id int PRIMARY KEY, tag int, note text) WITH (fillfactor = 70);
INSERT INTO item SELECT g, g % 10, 'note ' || g FROM generate_series(1, 2000) g;
CREATE INDEX item_tag ON item (tag);
CREATE TABLE short (id serial PRIMARY KEY);
CREATE FUNCTION twice(n int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 2 * n; END';
ANALYZE item;
"""
ALL = {view.name for view in VIEWS}
EMPTY_HERE = {
    "database_conflicts", "wal_receiver", "recovery_prefetch", "replication", "progress",
    "replication_slots", "replication_slot_stats", "subscriptions", "prepared_xacts",
    "table_bloat", "index_bloat", "functions", "io", "locks", "activity", "xmin_horizon",
}  # fmt: skip
"""Views with nothing to say on a primary that does nothing, of small tables, or on 15."""


@pytest.fixture(params=["18", "15"])
def dsn(request: pytest.FixtureRequest) -> str:
    made: str = request.getfixturevalue({"18": "pg_dsn", "15": "pg15_dsn"}[request.param])
    return prepared(made)


@pytest.fixture
def newest(pg_dsn: str) -> str:
    return prepared(pg_dsn)


def prepared(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute(SCHEMA)
    return dsn


def rows_of(collected: Collected, **wanted: Any) -> list[Any]:
    return [r for r in collected.rows if all(r[name] == value for name, value in wanted.items())]


def one(dsn: str, view: str, **wanted: Any) -> Any:
    (row,) = rows_of(look(dsn, view)[view], **wanted)
    return row


def check_types(view: View, row: Any) -> None:
    assert set(view.columns) == set(row) - {"stats_since"}, view.name
    for name in view.key:
        assert isinstance(row[name], int | str), f"{view.name}.{name}"
    for name in view.counters + view.gauges:
        assert type(row[name]) in (int, type(None)), f"{view.name}.{name}: {row[name]!r}"
    json.dumps([row[name] for name in view.labels])


def check_all(seen: dict[str, Collected]) -> None:
    assert seen.keys() == ALL
    for view in VIEWS:
        collected = seen[view.name]
        keys = [tuple(row[name] for name in view.key) for row in collected.rows]
        assert len(keys) == len(set(keys)), view.name
        for row in collected.rows:
            check_types(view, row)
        for finding in collected.findings:
            assert not finding.examined
            assert finding.rule == f"stats-{view.name}"
            assert finding.remedy


def test_every_view_as_superuser(dsn: str) -> None:
    with psycopg.connect(dsn) as idle:
        idle.execute("LOCK TABLE item IN SHARE MODE")
        seen = look(dsn)
    check_all(seen)
    assert {name for name in ALL if not seen[name].rows} <= EMPTY_HERE
    assert "GRANT" not in str([c.findings for c in seen.values()])


def test_every_view_as_pg_monitor(dsn: str) -> None:
    with plain_role(dsn, "pg_monitor") as monitor:
        seen = look(monitor)
    check_all(seen)
    assert {name for name in ALL if not seen[name].rows} <= EMPTY_HERE
    assert "GRANT" not in str([c.findings for c in seen.values()])


def test_every_view_as_nobody(dsn: str) -> None:
    with plain_role(dsn) as nobody:
        seen = look(nobody)
        role = conninfo_to_dict(nobody)["user"]
    check_all(seen)
    hidden = {name for name, c in seen.items() if "GRANT" in str([f.remedy for f in c.findings])}
    # An autovacuum or a standby may be there by chance.
    assert hidden - {"progress", "replication"} == {
        "statements", "activity", "connections", "xmin_horizon", "settings", "wal_directory",
    }  # fmt: skip
    for name in hidden:
        assert f'GRANT pg_monitor TO "{role}";' in [f.remedy for f in seen[name].findings]


@pytest.mark.parametrize("backend", ["pg_backend", "pg15_backend"])
def test_the_documented_columns_are_the_servers(
    backend: str, request: pytest.FixtureRequest
) -> None:
    server: Server = request.getfixturevalue(backend)
    extension = {13: 108, 14: 109, 15: 110, 16: 110, 17: 111, 18: 112}[server.major]
    with fresh_database(server) as made, psycopg.connect(made) as conn:
        for known, version in ((COLUMNS, server.major), (STATEMENTS, extension)):
            for view, words in known.items():
                assert columns(words, version) == server_columns(conn, view), view
        for catalog, words in CATALOGS.items():
            assert columns(words, server.major) <= server_columns(conn, catalog), catalog


def server_columns(conn: psycopg.Connection, relation: str) -> set[str]:
    found = conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0",
        (relation,),
    )
    return {name for (name,) in found}


def test_nothing_waits_for_a_lock(dsn: str) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE item")
        other.execute("ALTER SEQUENCE short_id_seq RESTART 5")
        seen = look(dsn)
    check_all(seen)
    (table,) = rows_of(seen["table_storage"], relname="item")
    assert table["table_bytes"] == table["relpages"] * 8192
    (sequence,) = rows_of(seen["sequences"], relname="short_id_seq")
    assert sequence["last_value"] is None
    granted = rows_of(seen["locks"], mode="AccessExclusiveLock", granted=1)
    assert granted


@pytest.mark.pg(">= 15")
def test_sizes_are_real_where_something_was_written(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE fresh (id int PRIMARY KEY, note text)")
        conn.execute("INSERT INTO fresh SELECT g, repeat('x', 200) FROM generate_series(1,999) g")
        conn.execute("SELECT pg_stat_force_next_flush()")
        expected = conn.execute(
            "SELECT pg_table_size('fresh') - pg_total_relation_size(reltoastrelid), "
            "pg_total_relation_size(reltoastrelid), pg_indexes_size('fresh'), relpages "
            "FROM pg_class WHERE oid = 'fresh'::regclass"
        ).fetchone()
        conn.execute("SELECT pg_stat_force_next_flush()")
    row = one(dsn, "table_storage", relname="fresh")
    assert expected == tuple(
        row[name] for name in ("table_bytes", "toast_bytes", "indexes_bytes", "relpages")
    )
    assert row["table_bytes"] > row["relpages"] * 8192
    index = one(dsn, "index_storage", indexrelname="fresh_pkey")
    assert expected is not None
    assert expected[2] == index["index_bytes"]


@pytest.mark.pg(">= 15")
def test_tables_count_exactly(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("SET enable_seqscan = off; SET enable_bitmapscan = off")
        conn.execute("SELECT count(note) FROM item WHERE tag = 3")
        conn.execute("RESET enable_seqscan; SELECT count(note) FROM item")
        conn.execute("UPDATE item SET note = 'other' WHERE id <= 5; DELETE FROM item WHERE id = 9")
        conn.execute("SELECT pg_stat_force_next_flush()")
        view = conn.execute(
            "SELECT t.seq_scan, t.seq_tup_read, t.idx_scan, t.idx_tup_fetch, t.n_tup_ins, "
            "t.n_tup_upd, t.n_tup_del, t.n_tup_hot_upd, t.n_live_tup, t.n_dead_tup, "
            "i.heap_blks_read, i.heap_blks_hit, i.idx_blks_read, i.idx_blks_hit, "
            "i.toast_blks_read, i.toast_blks_hit, i.tidx_blks_read, i.tidx_blks_hit "
            "FROM pg_stat_user_tables t JOIN pg_statio_user_tables i USING (relid) "
            "WHERE t.relname = 'item'"
        )
        names = [column.name for column in view.description or ()]
        expected = dict(zip(names, view.fetchone() or (), strict=True))
    row = one(dsn, "tables", relname="item")
    assert expected == {name: row[name] for name in names}
    assert (row["n_tup_upd"], row["n_tup_del"]) == (5, 1)
    assert row["last_analyze_at"] > 1_700_000_000
    index = one(dsn, "indexes", indexrelname="item_tag")
    assert (index["idx_scan"], index["relname"]) == (1, "item")


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


@pytest.mark.pg(">= 15")
def test_functions(newest: str) -> None:
    tracked = with_options(newest, "-c track_functions=pl")
    off = with_options(newest, "-c track_functions=none")
    assert "track_functions" in str(look(off, "functions")["functions"].findings)
    with psycopg.connect(tracked, autocommit=True) as conn:
        conn.execute("SELECT twice(1), twice(2)")
        conn.execute("SELECT pg_stat_force_next_flush()")
    collected = look(tracked, "functions")["functions"]
    (row,) = collected.rows
    assert (row["schemaname"], row["funcname"], row["calls"]) == ("public", "twice(integer)", 2)
    assert collected.findings == ()


def test_sequences_are_measured_by_the_column_that_they_fill(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("ALTER SEQUENCE short_id_seq AS bigint")
        conn.execute("SELECT setval('short_id_seq', 1073741824)")
        conn.execute("CREATE SEQUENCE down INCREMENT -1 MINVALUE -100 MAXVALUE -1")
        conn.execute("SELECT setval('down', -50)")
    row = one(dsn, "sequences", relname="short_id_seq")
    assert (row["data_type"], row["owner"], row["column_type"]) == ("bigint", "short.id", "integer")
    assert (row["last_value"], row["used_ppm"]) == (1073741824, 500_000)
    assert one(dsn, "sequences", relname="down")["used_ppm"] == 494_949


def test_bloat_of_half_empty_tables(dsn: str) -> None:
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE big (id int PRIMARY KEY, note text)")
        conn.execute("INSERT INTO big SELECT g, repeat('x', 96) FROM generate_series(1, 40000) g")
        conn.execute("ANALYZE big")
        full = one(dsn, "table_bloat", relname="big")
        conn.execute("DELETE FROM big WHERE id % 2 = 0")
        conn.execute("VACUUM ANALYZE big")
    half = one(dsn, "table_bloat", relname="big")
    assert full["bloat_ppm"] < 50_000
    assert 450_000 < half["bloat_ppm"] < 550_000
    assert abs(half["bloat_bytes"] - half["real_bytes"] * half["bloat_ppm"] / 10**6) < 8192
    with psycopg.connect(dsn, autocommit=True) as conn:
        conn.execute("CREATE TABLE wide (id int PRIMARY KEY)")
        conn.execute("INSERT INTO wide SELECT generate_series(1, 60000)")
        conn.execute("DELETE FROM wide WHERE id % 2 = 0")
        conn.execute("VACUUM ANALYZE wide")
    assert 400_000 < one(dsn, "index_bloat", indexrelname="wide_pkey")["bloat_ppm"] < 600_000
    with plain_role(dsn) as nobody:
        seen = look(nobody, "table_bloat", "index_bloat")
    for collected in seen.values():
        assert {None} == {row["bloat_ppm"] for row in collected.rows}
        assert "GRANT " in collected.findings[0].remedy


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


def test_a_limit_is_told(newest: str) -> None:
    seen = look(newest, "tables", "indexes", "settings", limit=1)
    assert [True] * 3 == [collected.truncated for collected in seen.values()]
    assert [1] * 3 == [len(collected.rows) for collected in seen.values()]


def test_our_own_sessions_are_no_activity(newest: str) -> None:
    rows = look_with(newest, [ACTIVITY])["activity"].rows
    name = conninfo_to_dict(newest)["dbname"]
    assert [] == [row for row in rows if row["datname"] == name]
