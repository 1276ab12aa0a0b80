"""Every kind of statement that psycopg runs, through both traced pools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import psycopg
import pytest
from psycopg.raw_cursor import AsyncRawServerCursor, RawServerCursor
from psycopg.rows import dict_row
from psycopg.sql import SQL, Identifier, Literal

from dbopt import AsyncTracedConnectionPool, TracedConnectionPool, route
from dbopt.inprocess.summary import Summary

AnyPool = TracedConnectionPool[Any] | AsyncTracedConnectionPool[Any]


@pytest.fixture
def pool(pg_dsn: str) -> Iterator[TracedConnectionPool[Any]]:
    with TracedConnectionPool(pg_dsn, min_size=1, open=True, report_to="") as made:
        yield made
        assert 0 == made.trace_faults


@contextmanager
def lent(pool: TracedConnectionPool[Any]) -> Iterator[psycopg.Connection[Any]]:
    """A connection in autocommit: what is counted is what the test runs."""
    with pool.connection() as connection:
        connection.autocommit = True
        yield connection
        connection.autocommit = False


@asynccontextmanager
async def made_async(dsn: str, **options: Any) -> AsyncIterator[AsyncTracedConnectionPool[Any]]:
    async with AsyncTracedConnectionPool(
        dsn, min_size=1, open=False, report_to="", **options
    ) as pool:
        yield pool
    assert 0 == pool.trace_faults


def counted(pool: AnyPool) -> dict[str, tuple[int, int]]:
    """Calls and rows by text."""
    return {one.text: (one.calls, one.rows) for one in pool.statements()}


def only(pool: AnyPool) -> Summary:
    (one,) = pool.statements()
    return one


@pytest.mark.parametrize(
    ("query", "params", "text"),
    [
        ("SELECT 1", None, "SELECT $1"),
        ("SELECT %s::int", [1], "SELECT $1::int"),
        ("SELECT %(a)s::int + %(b)s + %(a)s", {"a": 1, "b": 2}, "SELECT $1::int + $2 + $1"),
        ("SELECT 7 %% %s", [2], "SELECT $2 % $1"),
        (b"SELECT %b::int", [1], "SELECT $1::int"),
        (SQL("SELECT {}").format(Literal(1)), None, "SELECT $1"),
        (
            SQL("SELECT oid FROM {} WHERE relname = %s").format(Identifier("pg_class")),
            ["pg_class"],
            'SELECT oid FROM "pg_class" WHERE relname = $1',
        ),
    ],
)
def test_a_query_of_any_type(
    pool: TracedConnectionPool[Any], query: Any, params: Any, text: str
) -> None:
    with lent(pool) as connection:
        for _ in range(2):
            assert 1 == len(connection.execute(query, params).fetchall())
    assert {text: (2, 2)} == counted(pool)


@pytest.mark.parametrize("cursor_class", [psycopg.Cursor, psycopg.ClientCursor, psycopg.RawCursor])
def test_cursors_of_any_class_are_the_applications_own(
    pool: TracedConnectionPool[Any], cursor_class: type[psycopg.Cursor[Any]]
) -> None:
    query = "SELECT $1::int" if cursor_class is psycopg.RawCursor else "SELECT %s::int"
    with lent(pool) as connection:
        by_hand = cursor_class(connection)
        assert (1,) == by_hand.execute(query, [1]).fetchone()
        connection.cursor_factory = cursor_class
        with connection.cursor(row_factory=dict_row) as made:
            assert cursor_class is type(made)
            assert {"int4": 2} == made.execute(query, [2]).fetchone()
    assert {"SELECT $1::int": (2, 2)} == counted(pool)


def test_prepared_and_binary(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        for number in range(8):
            row = connection.execute("SELECT %s::int", [number], binary=True).fetchone()
            assert (number,) == row
        connection.execute("SELECT %s::int", [9], prepare=True)
    assert {"SELECT $1::int": (9, 9)} == counted(pool)


def test_executemany_counts_each_set_of_parameters(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        connection.execute("CREATE TEMP TABLE t (a int)")
        cursor = connection.cursor()
        cursor.executemany("INSERT INTO t VALUES (%s)", [[n] for n in range(30)])
        assert 30 == cursor.rowcount
        cursor.executemany("SELECT %s::int", [[1], [2]], returning=True)
        assert [[(1,)], [(2,)]] == [cursor.fetchall() for _ in cursor.results()]
    found = counted(pool)
    assert (30, 30) == found["INSERT INTO t VALUES ($1)"]
    assert (2, 2) == found["SELECT $1::int"]


def test_stream(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        rows = list(connection.cursor().stream("SELECT generate_series(1, %s::int)", [50]))
        assert 50 == len(rows)
    assert {"SELECT generate_series($2, $1::int)": (1, 50)} == counted(pool)


def test_a_stream_that_is_left_is_cancelled_and_counted_once(
    pool: TracedConnectionPool[Any],
) -> None:
    with lent(pool) as connection:
        for _row in connection.cursor().stream("SELECT generate_series(1, 10000000)"):
            break
        connection.execute("SELECT 1")
    found = {one.text: one for one in pool.statements()}
    assert {"57014": 1} == found["SELECT generate_series($1, $2)"].errors
    assert 1 == found["SELECT $1"].calls


def test_copy(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        connection.execute("CREATE TEMP TABLE t (a int, b text)")
        cursor = connection.cursor()
        with cursor.copy("COPY t FROM STDIN") as copy:
            for number in range(40):
                copy.write_row([number, "x" * 100])
        assert 40 == cursor.rowcount
        with cursor.copy("COPY (SELECT a FROM t WHERE a < %s) TO STDOUT", [10]) as copy:
            assert 10 == len(list(copy.rows()))
    found = counted(pool)
    assert (1, 40) == found["COPY t FROM STDIN"]
    assert (1, 10) == found["COPY (SELECT a FROM t WHERE a < $1) TO STDOUT"]


def test_a_copy_that_fails(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        connection.execute("CREATE TEMP TABLE t (a int)")
        with (
            pytest.raises(psycopg.errors.InvalidTextRepresentation),
            connection.cursor().copy("COPY t FROM STDIN") as copy,
        ):
            copy.write("no number\n")
    found = {one.text: one.errors for one in pool.statements()}
    assert {"22P02": 1} == found["COPY t FROM STDIN"]


def test_a_server_cursor_is_one_statement_whatever_its_name(
    pool: TracedConnectionPool[Any],
) -> None:
    with pool.connection() as connection:
        for name in ("one", "two"):
            with connection.cursor(name) as cursor:
                cursor.execute("SELECT generate_series(1, %s::int)", [300])
                assert 10 == len(cursor.fetchmany(10))
                cursor.scroll(10)
                assert 280 == len(list(cursor))
        raw = RawServerCursor(connection, "three")
        raw.execute("SELECT generate_series(1, $1::int)", [5])
        assert 5 == len(raw.fetchall())
        raw.close()
    found = counted(pool)
    # Two of 1 DECLARE and 4 fetches (10, 100, 100, 80), and one of 1 and 1.
    declared = "DECLARE c CURSOR FOR SELECT generate_series($2, $1::int)"
    assert (12, 585) == found[declared]
    assert (2, 0) == found["MOVE $1 FROM c"]
    assert (3, 0) == found["CLOSE c"]


def test_a_pipeline(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection, connection.pipeline() as pipeline:
        first = connection.execute("SELECT %s::int", [1])
        connection.execute("SELECT 'a'")
        pipeline.sync()
        connection.execute("SELECT %s::int", [2])
        assert (1,) == first.fetchone()
    assert {"SELECT $1::int": (2, 2), "SELECT $1": (1, 1)} == counted(pool)


def test_a_pipeline_that_fails_counts_what_ran(pool: TracedConnectionPool[Any]) -> None:
    def run(connection: psycopg.Connection[Any]) -> None:
        with connection.pipeline():
            connection.execute("SELECT 1")
            connection.execute("SELECT 1 / 0")
            connection.execute("SELECT 'never'")

    with lent(pool) as connection, pytest.raises(psycopg.errors.DivisionByZero):
        run(connection)
    found = {one.text: (one.calls, one.errors) for one in pool.statements()}
    assert (1, {}) == found["SELECT $1"]
    assert (1, {"22012": 1}) == found["SELECT $1 / $2"]


def test_errors_by_sqlstate_and_what_was_never_sent(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        for _ in range(2):
            with pytest.raises(psycopg.errors.UndefinedTable):
                connection.execute("SELECT * FROM nowhere")
        with pytest.raises(psycopg.ProgrammingError):
            connection.execute("SELECT %s, %s", [1])
        with pytest.raises(psycopg.ProgrammingError):
            connection.execute("SELECT %s", [object()])
    assert {"42P01": 2} == only(pool).errors
    assert 2 == only(pool).calls


def test_a_lost_connection_is_an_error_of_its_statement(
    pool: TracedConnectionPool[Any], pg_conn: psycopg.Connection[Any]
) -> None:
    with pool.connection() as connection:
        pg_conn.execute("SELECT pg_terminate_backend(%s)", [connection.info.backend_pid])
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    (state,) = only(pool).errors
    assert state in ("57P01", "08006")


def test_a_route_and_tags(pool: TracedConnectionPool[Any]) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with lent(pool) as connection:
        with route("GET /a"), route("GET /a/{b}"):
            connection.execute("SELECT 1")
        for end in ("31", "32"):
            trace = f"/*route='%2Fc',traceparent='{parent[:-2]}{end}'*/"
            connection.execute(f"SELECT 1 {trace}")
        connection.execute("SELECT %s::int /*route='%%2Fd'*/", [1])
        connection.execute("SELECT 1")
    found = {(one.route, one.text): one.calls for one in pool.statements()}
    assert {
        ("GET /a/{b}", "SELECT $1"): 1,
        ("/c", "SELECT $1"): 2,
        ("/d", "SELECT $1::int"): 1,
        ("", "SELECT $1"): 1,
    } == found


@pytest.mark.parametrize(
    "query",
    [
        "SELECT %s::int, current_query()",
        b"SELECT %s::int, current_query()",
        SQL("SELECT %s::int, current_query()"),
    ],
)
def test_a_routes_comment_goes_to_the_server(pg_dsn: str, query: Any) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="", comments=True) as pool:
        with pool.connection() as connection, route("GET /a b"):
            cursor = psycopg.ClientCursor(connection)
            row = cursor.execute(query, [1]).fetchone()
            assert row is not None
            assert row[1].endswith("/*route='GET%20%2Fa%20b'*/")
            raw = psycopg.RawCursor(connection)
            assert (2,) == raw.execute("SELECT $1::int", [2]).fetchone()
            assert [(1,)] == list(connection.cursor().stream("SELECT 1"))
            connection.cursor().executemany("SELECT %s::int", [[1]])
        assert {"GET /a b"} == {one.route for one in pool.statements()}
        assert 0 == pool.trace_faults


def test_transactions(pool: TracedConnectionPool[Any]) -> None:
    with pool.connection() as connection:
        for _ in range(3):
            connection.execute("SELECT 1")
        connection.commit()
        connection.execute("SELECT 1")
        connection.rollback()
        with connection.transaction():
            connection.execute("SELECT 1")
            with connection.transaction():
                connection.execute("SELECT 1")
        with pytest.raises(psycopg.errors.DivisionByZero), connection.transaction():
            connection.execute("SELECT 1 / 0")
        connection.autocommit = True
        connection.execute("BEGIN")
        connection.execute("SELECT 1")
        connection.execute("COMMIT")
        connection.execute("SELECT 1")
        connection.autocommit = False
    (transactions,) = pool.transactions()
    assert (5, 2, 8) == (transactions.count, transactions.failed, transactions.statements)
    assert 5 == sum(transactions.buckets.values())
    assert 0 < transactions.idle_us < transactions.total_us
    found = counted(pool)
    assert (3, 0) == found["COMMIT"]
    assert (3, 0) == found["BEGIN"]
    assert (2, 0) == found["ROLLBACK"]
    assert ((1, 0), (1, 0)) == (found["SAVEPOINT s"], found["RELEASE s"])


def test_blocks_within_an_implicit_transaction_are_savepoints(
    pool: TracedConnectionPool[Any],
) -> None:
    with pool.connection() as connection:
        connection.execute("SELECT 1")
        with connection.transaction():
            connection.execute("SELECT 1")
        with pytest.raises(ZeroDivisionError), connection.transaction():
            raise ZeroDivisionError
    assert {
        "SELECT $1": (2, 2), "SAVEPOINT s": (2, 0), "RELEASE s": (1, 0), "ROLLBACK TO s": (1, 0),
        "COMMIT": (1, 0),
    } == counted(pool)  # fmt: skip
    (transactions,) = pool.transactions()
    assert (1, 0) == (transactions.count, transactions.failed)


def test_a_transaction_in_a_pipeline(pool: TracedConnectionPool[Any]) -> None:
    with lent(pool) as connection:
        for _ in range(2):
            with connection.pipeline(), connection.transaction():
                connection.execute("SELECT %s::int", [1])
                connection.cursor().executemany("SELECT %s::int", [[2], [3]], returning=True)
    with pool.connection() as connection, connection.pipeline():
        connection.execute("SELECT %s::int", [4])
        connection.execute("SELECT %s::int", [5])
    (transactions,) = pool.transactions()
    assert (3, 0, 8) == (transactions.count, transactions.failed, transactions.statements)
    assert (8, 8) == counted(pool)["SELECT $1::int"]


def test_n_plus_one_whatever_the_literals(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="", n_plus_one=5) as pool:
        with pool.connection() as connection:
            for number in range(6):
                connection.execute(f"SELECT oid FROM pg_class WHERE oid = {number}")
            for _ in range(4):
                connection.execute("SELECT 1")
            connection.cursor().executemany("SELECT %s::int", [[n] for n in range(9)])
        (repeated,) = pool.repeated()
        assert (1, 6, 6) == (repeated.transactions, repeated.calls, repeated.most)
        assert 1 == sum(one.text.startswith("SELECT oid") for one in pool.statements())


def test_slow_statements_are_redacted(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="", slow_ms=0) as pool:
        with lent(pool) as connection:
            connection.execute("SELECT 'secret', %s::text /*route='a'*/", ["hidden"])
            pid = connection.info.backend_pid
        (slow,) = pool.slow()
        assert "SELECT $2, $1::text" == slow.text
        assert "hidden" not in slow.sql
        assert ("a", pid, 1) == (slow.route, slow.backend_pid, slow.rows)
        assert 0 < slow.server_ms <= slow.duration_ms
        assert slow.queue_ms > 0


def test_slow_statements_with_parameters_where_they_are_allowed(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="", slow_ms=0, parameters=True) as pool:
        with lent(pool) as connection:
            connection.execute("SELECT 'secret', %s::text", ["shown"])
        assert "SELECT 'secret', $1::text\n-- parameters: ['shown']" == pool.slow()[0].text


def test_a_wait_for_a_connection_is_the_first_statements(
    pool: TracedConnectionPool[Any],
) -> None:
    pool.wait()
    first = pool.getconn()
    with pytest.raises(Exception, match="couldn't get a connection"):
        pool.getconn(timeout=0.05)
    pool.putconn(first)
    with lent(pool) as connection:
        connection.execute("SELECT 1")
        connection.execute("SELECT 1")
    one = only(pool)
    assert 0 < one.queue_ms < one.total_ms


def test_async_statements(pg_dsn: str) -> None:
    async def run() -> dict[str, tuple[int, int]]:
        async with made_async(pg_dsn) as pool:
            async with pool.connection() as connection:
                await connection.execute("CREATE TEMP TABLE t (a int)")
                cursor = connection.cursor()
                await cursor.executemany("INSERT INTO t VALUES (%s)", [[n] for n in range(7)])
                assert 7 == len([row async for row in cursor.stream("SELECT a FROM t")])
                async with cursor.copy("COPY t TO STDOUT") as copy:
                    assert 7 == len([row async for row in copy.rows()])
                async with connection.cursor("named") as named:
                    await named.execute("SELECT a FROM t WHERE a < %s", [5])
                    assert 5 == len(await named.fetchall())
                raw = AsyncRawServerCursor(connection, "raw")
                await raw.execute("SELECT a FROM t WHERE a < $1", [3])
                assert 3 == len([row async for row in raw])
                await raw.close()
                async with connection.pipeline():
                    for number in range(3):
                        await connection.execute("SELECT %s::int", [number])
                client = psycopg.AsyncClientCursor(connection)
                await client.execute("SELECT %s", ["x"])
            found = counted(pool)
            (transactions,) = pool.transactions()
            assert (1, 0) == (transactions.count, transactions.failed)
            return found

    found = asyncio.run(run())
    assert (7, 7) == found["INSERT INTO t VALUES ($1)"]
    assert (1, 7) == found["SELECT a FROM t"]
    assert (1, 7) == found["COPY t TO STDOUT"]
    assert (4, 8) == found["DECLARE c CURSOR FOR SELECT a FROM t WHERE a < $1"]
    assert (3, 3) == found["SELECT $1::int"]
    assert (1, 1) == found["SELECT $1"]
    assert (1, 0) == found["COMMIT"]


def test_routes_of_tasks_that_run_at_once(pg_dsn: str) -> None:
    async def request(pool: AsyncTracedConnectionPool[Any], name: str) -> None:
        with route(name):
            for _ in range(5):
                async with pool.connection() as connection:
                    await connection.execute("SELECT %s::text", [name])
                    await asyncio.sleep(0)

    async def run() -> dict[str, int]:
        async with made_async(pg_dsn, max_size=2) as pool:
            await asyncio.gather(*(request(pool, f"GET /{n}") for n in range(4)))
            return {one.route: one.calls for one in pool.statements() if "text" in one.text}

    assert {f"GET /{n}": 5 for n in range(4)} == asyncio.run(run())


def test_a_cancelled_task_is_counted_as_cancelled(pg_dsn: str) -> None:
    async def run() -> dict[str, int]:
        async with made_async(pg_dsn) as pool:
            async with pool.connection() as connection:
                await connection.set_autocommit(True)
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(connection.execute("SELECT pg_sleep(30)"), 0.05)
                cursor = await connection.execute("SELECT 1")
                assert (1,) == await cursor.fetchone()
            return {one.text: one.calls for one in pool.statements() if one.errors == {"57014": 1}}

    assert {"SELECT pg_sleep($1)": 1} == asyncio.run(run())
