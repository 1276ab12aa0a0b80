"""Collectors of tables, indexes, sequences and functions: just what the server counted."""

from __future__ import annotations

import psycopg
import pytest

from tests.integration.collectors_support import (
    look,
    one,
    plain_role,
    prepared,
    with_options,
)


@pytest.fixture(params=["18", "15"])
def dsn(request: pytest.FixtureRequest) -> str:
    made: str = request.getfixturevalue({"18": "pg_dsn", "15": "pg15_dsn"}[request.param])
    return prepared(made)


@pytest.fixture
def newest(pg_dsn: str) -> str:
    return prepared(pg_dsn)


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


def test_a_limit_is_told(newest: str) -> None:
    seen = look(newest, "tables", "indexes", "settings", limit=1)
    assert [True] * 3 == [collected.truncated for collected in seen.values()]
    assert [1] * 3 == [len(collected.rows) for collected in seen.values()]
