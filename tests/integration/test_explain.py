"""EXPLAIN of foreign statements against the real server."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from dbopt.errors import QueryFailed, UsageError
from dbopt.pg.connect import AsyncConnection, Connection, connect, connect_async
from dbopt.pg.explain import MAX_TEXT, explain, explain_sync, require_safe
from dbopt.pg.plan import Plan
from dbopt.sql.query import Relation

T = TypeVar("T")
SCHEMA = """
CREATE TABLE person (id int PRIMARY KEY, email text, town int);
INSERT INTO person SELECT g, 'p' || g || '@example.org', g % 500 FROM generate_series(1, 5000) g;
CREATE TABLE town (id int PRIMARY KEY, name text);
INSERT INTO town SELECT g, 'town ' || g FROM generate_series(0, 499) g;
ANALYZE person, town;
"""


@pytest.fixture
def dsn(pg_dsn: str) -> str:
    return _with_schema(pg_dsn)


@pytest.fixture
def conn(dsn: str) -> Iterator[Connection]:
    with connect(dsn) as connection:
        yield connection


def _with_schema(dsn: str) -> str:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(SCHEMA)
    return dsn


def run(dsn: str, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    async def main() -> T:
        async with await connect_async(dsn) as connection:
            return await work(connection)

    return asyncio.run(main())


def plan_of(dsn: str, sql: str, **options: Any) -> Plan:
    return run(dsn, lambda connection: explain(connection, sql, **options))


def prepared(conn: Connection) -> int:
    row = conn.execute("SELECT count(*) AS n FROM pg_prepared_statements").fetchone()
    assert row is not None
    return int(row["n"])


def test_async_and_sync_give_the_same_plan(dsn: str, conn: Connection) -> None:
    sql = "SELECT * FROM person WHERE id = 7"
    plan = plan_of(dsn, sql)
    assert frozenset({"person_pkey"}) == plan.indexes
    assert frozenset() == plan.seq_scans
    assert explain_sync(conn, sql).shape == plan.shape
    assert explain_sync(conn, sql).total_cost == plan.total_cost > 0


def test_seq_scan_and_join(conn: Connection) -> None:
    plan = explain_sync(conn, "SELECT t.name FROM person p JOIN town t ON t.id = p.town")
    assert {Relation("public", "person"), Relation("public", "town")} == plan.seq_scans
    assert plan.root.type == "Hash Join"
    assert plan.text().startswith("Hash Join  (cost ")
    assert "Hash Cond: (p.town = t.id)" in plan.text()


def test_an_index_changes_the_shape_and_the_cost(conn: Connection) -> None:
    sql = "SELECT * FROM person WHERE town = $1"
    before = explain_sync(conn, sql)
    conn.execute("CREATE INDEX person_town ON person (town)")
    after = explain_sync(conn, sql)
    assert {Relation("public", "person")} == before.seq_scans
    assert frozenset({"person_town"}) == after.indexes
    assert before.shape != after.shape
    assert after.total_cost < before.total_cost


def test_inside_a_transaction_it_sees_that_transactions_index(conn: Connection) -> None:
    sql = "SELECT * FROM person WHERE town = 3"
    with conn.transaction(force_rollback=True):
        conn.execute("CREATE INDEX proof ON person (town)")
        assert {"proof"} == explain_sync(conn, sql).indexes
        # Still writable, and with the outer transaction's own limits.
        conn.execute("INSERT INTO town VALUES (1000, 'new')")
        limit = conn.execute("SHOW statement_timeout").fetchone()
        assert limit == {"statement_timeout": "0"}
    assert frozenset() == explain_sync(conn, sql).indexes


def test_a_failure_inside_a_transaction_leaves_it_usable(conn: Connection) -> None:
    with conn.transaction():
        with pytest.raises(QueryFailed):
            explain_sync(conn, "SELECT * FROM no_such_table")
        conn.execute("INSERT INTO town VALUES (1001, 'kept')")
    assert len(conn.execute("SELECT FROM town WHERE id = 1001").fetchall()) == 1


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO person VALUES (9999, 'x', 1)",
        "UPDATE person SET town = 0",
        "DELETE FROM person",
        "WITH gone AS (DELETE FROM person RETURNING *) SELECT count(*) FROM gone",
    ],
)
def test_a_write_is_planned_and_not_executed(conn: Connection, sql: str) -> None:
    plan = explain_sync(conn, sql)
    assert any(node.type == "ModifyTable" for node in plan.nodes)
    row = conn.execute("SELECT count(*) AS n, sum(town) AS t FROM person").fetchone()
    assert row == {"n": 5000, "t": 1247500}
    with pytest.raises(QueryFailed, match="25006"):
        explain_sync(conn, sql, analyze=True)
    row = conn.execute("SELECT count(*) AS n, sum(town) AS t FROM person").fetchone()
    assert row == {"n": 5000, "t": 1247500}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1; DROP TABLE person",
        "SELECT $1::int; DROP TABLE person",
        "SELECT id FROM person WHERE id = $1; COMMIT; DROP TABLE person; --",
        "; DROP TABLE person",
        "DROP TABLE person",
        "CREATE TABLE copy AS SELECT * FROM person",
        "COPY person TO STDOUT",
        "EXECUTE something",
        "ANALYZE DELETE FROM person",
        "(ANALYZE) DELETE FROM person",
        "COMMIT",
        "",
        "SELECT 'unfinished",
    ],
)
def test_what_is_not_one_plain_statement_is_refused(dsn: str, conn: Connection, sql: str) -> None:
    with pytest.raises(UsageError):
        plan_of(dsn, sql)
    with pytest.raises(UsageError):
        explain_sync(conn, sql)
    row = conn.execute("SELECT count(*) AS n FROM person").fetchone()
    assert row == {"n": 5000}
    assert prepared(conn) == 0


def test_a_nul_or_a_huge_text_is_refused(conn: Connection) -> None:
    with pytest.raises(UsageError):
        explain_sync(conn, "SELECT 1\0; DROP TABLE person")
    with pytest.raises(UsageError):
        explain_sync(conn, "SELECT " + "1" * MAX_TEXT)


def test_a_dollar_one_in_a_literal_is_no_parameter(conn: Connection) -> None:
    plan = explain_sync(conn, "SELECT * FROM person WHERE email = '$1' OR email LIKE '100%s'")
    assert {Relation("public", "person")} == plan.seq_scans


def check_generic_plan(dsn: str) -> None:
    """A generic plan: no NULL folded in, for every type of parameter."""
    sql = "SELECT * FROM person WHERE id = $1 AND email LIKE $2 LIMIT $3"
    plan = plan_of(dsn, sql)
    assert plan.root.type == "Limit"
    assert {"person_pkey"} == plan.indexes
    assert "Index Cond: (person.id = $1)" in plan.text()
    with connect(dsn) as connection:
        assert plan.shape == explain_sync(connection, sql).shape
        assert prepared(connection) == 0


def test_generic_plan(dsn: str) -> None:
    check_generic_plan(dsn)


def test_generic_plan_on_15(pg15_dsn: str) -> None:
    check_generic_plan(_with_schema(pg15_dsn))


def test_multiple_commands_on_15(pg15_dsn: str) -> None:
    with pytest.raises(UsageError):
        plan_of(_with_schema(pg15_dsn), "SELECT $1::int; DROP TABLE person")


@pytest.mark.pg(">= 16")
def test_generic_plan_keeps_every_partition(conn: Connection) -> None:
    conn.execute(
        "CREATE TABLE part (k int, v int) PARTITION BY LIST (k);"
        "CREATE TABLE part_1 PARTITION OF part FOR VALUES IN (1);"
        "CREATE TABLE part_2 PARTITION OF part FOR VALUES IN (2)"
    )
    plan = explain_sync(conn, "SELECT * FROM part WHERE k = $1")
    assert {Relation("public", "part_1"), Relation("public", "part_2")} == plan.seq_scans


def test_analyze_counts_rows(conn: Connection) -> None:
    plan = explain_sync(conn, "SELECT * FROM person WHERE id <= 10", analyze=True)
    assert plan.root.actual_rows == 10
    assert "actual" in plan.text()
    with pytest.raises(UsageError, match="parameters"):
        explain_sync(conn, "SELECT * FROM person WHERE id = $1", analyze=True)


def test_constants_do_not_reach_the_plan(conn: Connection) -> None:
    sql = (
        "SELECT 'topsecret1', id FROM person WHERE email = 'topsecret2' "
        "ORDER BY email || 'topsecret3'"
    )
    plan = explain_sync(conn, sql)
    assert "topsecret" not in repr(plan.json) + repr(plan.root) + plan.text()
    assert "Filter: (person.email = $1" in plan.text()


def test_a_role_cannot_use_our_explain_to_act_as_a_superuser(dsn: str, conn: Connection) -> None:
    """An immutable function is run by the planner, and COPY TO PROGRAM is read only."""
    conn.execute("DROP ROLE IF EXISTS dbopt_reader; CREATE ROLE dbopt_reader LOGIN")
    reader = make_conninfo(dsn, user="dbopt_reader")

    async def ask(address: str, user: str) -> None:
        async with await connect_async(address) as connection:
            await require_safe(connection, user)

    try:
        for address, user in ((dsn, "postgres"), (reader, "dbopt_reader"), (reader, "somebody")):
            asyncio.run(ask(address, user))
        with pytest.raises(UsageError, match="not explained by a superuser"):
            asyncio.run(ask(dsn, "somebody"))
        conn.execute("GRANT pg_execute_server_program TO dbopt_reader")
        with pytest.raises(UsageError, match="pg_monitor"):
            asyncio.run(ask(reader, "somebody"))
    finally:
        conn.execute("DROP ROLE dbopt_reader")


def test_an_error_holds_no_literal(conn: Connection) -> None:
    with pytest.raises(QueryFailed) as caught:
        explain_sync(conn, "SELECT 'topsecret'::int")
    assert "22P02" in str(caught.value)
    assert "topsecret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_timeout_ends_it(conn: Connection) -> None:
    with pytest.raises(QueryFailed, match="57014"):
        explain_sync(conn, "SELECT pg_sleep(10)", analyze=True, statement_timeout=0.05)
    assert prepared(conn) == 0


def test_a_locked_table_is_not_waited_for(dsn: str, conn: Connection) -> None:
    with psycopg.connect(dsn) as other:
        other.execute("LOCK TABLE person")
        with pytest.raises(QueryFailed, match="55P03"):
            explain_sync(conn, "SELECT * FROM person")


def test_a_lost_connection_is_said(conn: Connection, pg_conn: psycopg.Connection[Any]) -> None:
    pg_conn.execute("SELECT pg_terminate_backend(%s)", (conn.info.backend_pid,))
    with pytest.raises(Exception, match="lost") as caught:
        explain_sync(conn, "SELECT 1")
    assert type(caught.value).__name__ == "ServerLost"


def test_another_encoding(conn: Connection) -> None:
    conn.execute("SET client_encoding = 'LATIN1'")
    conn.execute('CREATE TABLE "café" (id int)')
    for literal in ("é", "🐘"):
        plan = explain_sync(conn, f"SELECT * FROM café WHERE id::text = '{literal}'")
        assert plan.seq_scans == {Relation("public", "café")}
        assert conn.info.encoding == "iso8859-1"
    with pytest.raises(UsageError, match="cannot be sent"):
        explain_sync(conn, "SELECT * FROM person WHERE email = '\udcff'")
    assert prepared(conn) == 0


def test_a_cancelled_explain_leaves_the_connection_usable(dsn: str) -> None:
    async def work(connection: AsyncConnection) -> Plan:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await explain(connection, "SELECT pg_sleep(30)", analyze=True, statement_timeout=60)
        return await explain(connection, "SELECT * FROM person WHERE id = $1")

    assert run(dsn, work).indexes == {"person_pkey"}


@pytest.mark.parametrize("side_effect", ["nextval('counter')", "lo_create(4711)"])
def test_analyze_runs_no_function_that_writes(conn: Connection, side_effect: str) -> None:
    conn.execute("CREATE SEQUENCE counter")
    with pytest.raises(QueryFailed, match="25006"):
        explain_sync(conn, f"SELECT {side_effect}", analyze=True)


def test_a_view_and_its_rules_are_planned_as_their_tables(conn: Connection) -> None:
    conn.execute("CREATE VIEW townsfolk AS SELECT * FROM person WHERE town = 1")
    assert explain_sync(conn, "TABLE townsfolk").seq_scans == {Relation("public", "person")}
    plan = explain_sync(conn, "VALUES (1), ($1)")
    assert plan.root.type == "Values Scan"
