"""psycopg 3: statements, transactions, cursors, pipelines, COPY, notices, cancel; sync and async."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from tests.integration.clients.routes import Both, Route
from tests.support import wait_until

Connection = psycopg.Connection[Any]
Cursor = psycopg.Cursor[Any]

THRESHOLDS = [None, 0, 1, 5]


def connect(route: Route, **options: Any) -> Connection:
    return psycopg.connect(route.dsn(), autocommit=True, **options)


def sqlstate(work: Callable[..., Any], *arguments: Any, **options: Any) -> str | None:
    """The SQLSTATE of the error that this raises; "00000" for none."""
    try:
        work(*arguments, **options)
    except psycopg.Error as error:
        return error.sqlstate
    return "00000"


def outcome(cursor: Cursor) -> tuple[Any, ...]:
    """All that a cursor tells of its result."""
    columns = [(c.name, c.type_code, c.internal_size) for c in cursor.description or ()]
    rows = cursor.fetchall() if cursor.description else None
    return cursor.statusmessage, cursor.rowcount, columns, rows


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_statements(both: Both, threshold: int | None) -> None:
    statements: list[tuple[str, tuple[Any, ...]]] = [
        ("CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz, n numeric, j jsonb)", ()),
        ("INSERT INTO t VALUES (%s, %s, %s, %s, %s)", (1, "ä☃", dt.datetime(2024, 1, 2, tzinfo=dt.UTC),
         Decimal("1.50"), Jsonb({"a": [1, None]}))),  # fmt: skip
        ("INSERT INTO t (id, name) SELECT g, %s FROM generate_series(2, 9) g RETURNING id", ("x",)),
        ("SELECT * FROM t WHERE id <= %s ORDER BY id", (3,)),
        ("UPDATE t SET name = upper(name) WHERE id > %s", (5,)),
        ("DELETE FROM t WHERE id = ANY(%s) RETURNING *", ([7, 8],)),
        ("SELECT %s::int, %s::text, %s::bytea, %s::date[]", (None, "", b"\0\xff", [dt.date(2024, 2, 29)])),
        ("SELECT", ()),
        ("", ()),
        ("VALUES (1, 'a'), (2, NULL)", ()),
        ("TABLE t ORDER BY 1 LIMIT %s", (2,)),
    ]  # fmt: skip

    def scenario(route: Route) -> list[Any]:
        with connect(route, prepare_threshold=threshold) as connection:
            found = [outcome(connection.execute(*each)) for each in statements]
            return found + [outcome(connection.execute(*each)) for each in statements[3:4] * 9]

    found = both(scenario)
    assert "INSERT 0 8" == found[2][0]
    assert 3 == len(found[-1][3])


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_errors(both: Both, threshold: int | None) -> None:
    failing = [
        "SELECT * FROM nothing",
        "SELEC 1",
        "SELECT 1 / %s",
        "SELECT %s::date",
        "SELECT nothing()",
    ]

    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route, prepare_threshold=threshold) as connection:
            connection.execute("CREATE TABLE t (x int CHECK (x > 0) UNIQUE)")
            for _ in range(3):
                for query in failing:
                    values = (0,) if "%s" in query else ()
                    found += [sqlstate(connection.execute, query, values)]
                found += [connection.execute("SELECT %s::text", ("fine",)).fetchone()]
            try:
                connection.execute("INSERT INTO t VALUES (1), (%s)", (-1,))
            except errors.CheckViolation as error:
                diag = error.diag
                found += [diag.constraint_name, diag.table_name, diag.schema_name, diag.message_primary,
                          diag.message_detail, diag.severity_nonlocalized, diag.source_function]  # fmt: skip
        return found

    found = both(scenario)
    assert ["42P01", "42601", "22012", "42846", "42883", ("fine",)] == found[:6]
    assert "t_x_check" == found[18]


def test_transactions_and_savepoints(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with psycopg.connect(route.dsn()) as connection:
            connection.execute("CREATE TABLE t (x int)")
            connection.commit()
            with connection.transaction():
                connection.execute("INSERT INTO t VALUES (1)")
                with pytest.raises(errors.DivisionByZero), connection.transaction():  # noqa: PT012
                    connection.execute("INSERT INTO t VALUES (2)")
                    connection.execute("SELECT 1 / 0")
                with connection.transaction() as inner:
                    connection.execute("INSERT INTO t VALUES (3)")
                    raise psycopg.Rollback(inner)
                connection.execute("INSERT INTO t VALUES (4)")
            connection.execute("INSERT INTO t VALUES (5)")
            found += [connection.info.transaction_status.name]
            connection.rollback()
            found += [connection.execute("SELECT x FROM t ORDER BY x").fetchall()]
            found += [
                sqlstate(connection.execute, "SELECT 1 / 0"),
                connection.info.transaction_status.name,
            ]
            found += [sqlstate(connection.execute, "SELECT 1")]
            connection.rollback()
            found += [connection.info.transaction_status.name]
        return found

    assert ["INTRANS", [(1,), (4,)], "22012", "INERROR", "25P02", "IDLE"] == both(scenario)


def test_isolation_and_read_only(both: Both) -> None:
    show = (
        "SELECT current_setting('transaction_isolation'), current_setting('transaction_read_only')"
    )

    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with psycopg.connect(route.dsn()) as connection:
            found += [connection.execute(show).fetchone()]
            connection.rollback()
            connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
            connection.read_only = True
            connection.deferrable = True
            found += [connection.execute(show).fetchone()]
            found += [sqlstate(connection.execute, "CREATE TABLE t ()")]
            connection.rollback()
            connection.isolation_level = connection.read_only = connection.deferrable = None
            found += [connection.execute(show).fetchone()]
        return found

    plain = ("read committed", "off")
    assert [plain, ("serializable", "on"), "25006", plain] == both(scenario)


def test_pipelines(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route) as connection:
            connection.execute("CREATE TABLE t (x int UNIQUE)")
            with connection.pipeline() as pipeline:
                cursors = [
                    connection.execute("INSERT INTO t VALUES (%s) RETURNING x", (n,))
                    for n in range(50)
                ]
                pipeline.sync()
                cursors += [connection.execute("SELECT count(*) FROM t")]
                found += [cursor.fetchone() for cursor in cursors]
                with connection.transaction():
                    found += [connection.execute("DELETE FROM t RETURNING x").rowcount]
            with connection.pipeline(), connection.cursor() as cursor:
                cursor.executemany(
                    "INSERT INTO t VALUES (%s) RETURNING x",
                    [(n,) for n in range(100)],
                    returning=True,
                )
                while True:
                    found += [outcome(cursor)]
                    if not cursor.nextset():
                        break
        return found

    found = both(scenario)
    assert (50,) == found[50]
    assert 152 == len(found)


def test_errors_in_pipelines(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route) as connection:
            connection.execute("CREATE TABLE t (x int UNIQUE)")
            for after in range(3):
                cursors: list[Cursor] = []
                try:
                    with connection.pipeline() as pipeline:
                        for n in (1, 2, 2, 3):
                            cursors += [
                                connection.execute("INSERT INTO t VALUES (%s)", (n + 10 * after,))
                            ]
                            if n == after:
                                pipeline.sync()
                except psycopg.Error as error:
                    found += [error.sqlstate]
                for cursor in cursors[:2]:  # how many more it sent is a matter of time
                    found += [cursor.rowcount, cursor.statusmessage]
                found += [connection.execute("SELECT x FROM t ORDER BY x").fetchall()]
            with connection.pipeline():
                connection.execute("SELECT 1")
                found += [sqlstate(connection.execute("SELECT 1 / %s", (0,)).fetchone)]
                found += [sqlstate(connection.execute("SELECT 3").fetchone)]
        return found

    assert "23505" == both(scenario)[0]


FORMATS = ["text", "csv", "binary"]


@pytest.mark.parametrize("form", FORMATS)
def test_copy(both: Both, form: str) -> None:
    values = [(n, f"name\t{n}\\", None if n % 3 else dt.date(2024, 1, 1)) for n in range(3000)]

    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (id int4, name text, d date)")
            if form == "csv":
                with cursor.copy("COPY t FROM STDIN (FORMAT csv)") as copy:
                    for start in range(0, 3000, 100):
                        part = [
                            f'{n},"{name}",{d or ""}\n'
                            for n, name, d in values[start : start + 100]
                        ]
                        copy.write("".join(part))
            else:
                with cursor.copy(f"COPY t FROM STDIN (FORMAT {form})") as copy:
                    copy.set_types(["int4", "text", "date"])
                    for row in values:
                        copy.write_row(row)
            found += [cursor.statusmessage, cursor.rowcount]
            with cursor.copy(f"COPY (TABLE t ORDER BY id) TO STDOUT (FORMAT {form})") as copy:
                found += [b"".join(map(bytes, copy))]
            found += [cursor.statusmessage]
            found += [outcome(cursor.execute("SELECT * FROM t ORDER BY id"))]
        return found

    found = both(scenario)
    assert ["COPY 3000", 3000] == found[:2]
    assert values == found[4][3]


def test_copy_that_fails(both: Both) -> None:
    def from_stdin(cursor: Cursor, data: bytes, times: int = 1, raises: bool = False) -> None:
        with cursor.copy("COPY t FROM STDIN") as copy:
            for _ in range(times):
                copy.write(data)
            if raises:
                raise ZeroDivisionError

    def to_stdout(cursor: Cursor, query: str) -> None:
        with cursor.copy(query) as copy:
            for _ in copy:
                pass

    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (x int)")
            found += [sqlstate(from_stdin, cursor, b"1\n2\nbad\n")]
            found += [sqlstate(from_stdin, cursor, b"bad\n" + b"1\n" * 10_000, times=50)]
            with pytest.raises(ZeroDivisionError):
                from_stdin(cursor, b"1\n", raises=True)
            found += [sqlstate(to_stdout, cursor, "COPY nothing TO STDOUT")]
            late = "COPY (SELECT 1 / (5000 - g) FROM generate_series(1, 9000) g) TO STDOUT"
            found += [sqlstate(to_stdout, cursor, late)]
            found += [sqlstate(from_stdin, cursor, b"7\n"), outcome(cursor.execute("TABLE t"))]
            with connection.transaction():
                from_stdin(cursor, b"8\n" * 1000)
                found += [cursor.execute("SELECT count(*) FROM t").fetchone()]
        return found

    found = both(scenario)
    assert ["22P02", "22P02", "42P01", "22012", "00000"] == found[:5]
    assert (1001,) == found[-1]


def test_server_side_cursors(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with psycopg.connect(route.dsn()) as connection:
            with connection.cursor("many") as cursor:
                cursor.itersize = 7
                cursor.execute("SELECT g, 'row ' || g FROM generate_series(1, %s) g", (50,))
                found += [list(cursor)]
            with connection.cursor("scrolled", scrollable=True) as cursor:
                cursor.execute("SELECT generate_series(1, 20)")
                found += [cursor.fetchmany(3), cursor.scroll(5), cursor.fetchone()]
                cursor.scroll(-4)
                found += [cursor.fetchall()]
                found += [sqlstate(connection.execute, "FETCH 1 FROM elsewhere")]
            connection.rollback()
            with connection.cursor("held", withhold=True) as cursor:
                cursor.execute("SELECT generate_series(1, 9)")
                connection.commit()
                found += [cursor.fetchmany(4)]
                connection.rollback()
                found += [cursor.fetchall()]
        return found

    found = both(scenario)
    assert [(1,), (2,), (3,), (4,)] == found[-2]


def test_results_in_chunks(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with connect(route) as connection, connection.cursor() as cursor:
            series = cursor.stream("SELECT g, repeat('x', g) FROM generate_series(1, 300) g")
            found: list[Any] = list(series)
            half = cursor.stream("SELECT generate_series(1, 100000)", size=50)
            found += [next(half)]
            half.close()
            late = cursor.stream("SELECT 1 / (100 - g) FROM generate_series(1, 200) g", size=10)
            found += [sqlstate(list, late)]
            return [*found, connection.execute("SELECT 'after'").fetchone()]

    assert [(1,), "22012", ("after",)] == both(scenario)[-3:]


def test_notices_and_parameters(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route) as connection:
            heard: list[Any] = []
            connection.add_notice_handler(
                lambda diag: heard.append((diag.severity, diag.sqlstate, diag.message_primary))
            )
            connection.execute("DO $$BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END$$")
            connection.execute("DROP TABLE IF EXISTS nothing")
            with connection.pipeline():
                connection.execute("DO $$BEGIN RAISE NOTICE 'three'; END$$")
                connection.execute("COMMIT")
            status = connection.info.parameter_status
            for name in ("TimeZone", "DateStyle", "server_version", "client_encoding", "application_name",
                         "integer_datetimes", "standard_conforming_strings", "search_path", "is_superuser"):  # fmt: skip
                found += [status(name)]
            connection.execute("SET TimeZone = 'Asia/Tokyo'")
            connection.execute("SELECT set_config('DateStyle', 'German', false)")
            connection.execute("SET client_encoding = 'LATIN1'")
            found += [status("TimeZone"), status("DateStyle"), connection.info.encoding]
            for _ in range(20):
                sql = "SELECT '2024-02-01 00:00+00'::timestamptz::text, %s::text"
                found += [connection.execute(sql, ("é",)).fetchone()]
            return heard + found

    found = both(scenario)
    assert ("01.02.2024 09:00:00 JST", "é") == found[-1]


def test_settings_at_login(both: Both) -> None:
    names = [
        "application_name",
        "search_path",
        "work_mem",
        "TimeZone",
        "statement_timeout",
        "my.own",
    ]
    options = '-c search_path=a,"b\\ c" -c work_mem=5MB -c my.own=it\\ s --statement-timeout=70s'

    def scenario(route: Route) -> list[Any]:
        dsn = route.dsn(options=options, application_name="the app")
        with psycopg.connect(dsn, autocommit=True) as connection:
            found = [
                connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
                for name in names * 3
            ]
            connection.execute("SET work_mem = '6MB'")
            connection.execute("RESET work_mem")
            connection.execute("SET search_path = c")
            connection.execute("RESET ALL")
            return found + [
                connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
                for name in names
            ]

    found = both(scenario)
    assert [("the app",), ('a,"b c"',), ("5MB",)] == found[:3]
    assert found[:6] == found[-6:]


def test_cancel(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with connect(route) as connection, connect(route) as watcher:
            found: list[Any] = []
            for cancel in (connection.cancel, connection.cancel_safe):
                sleep = "SELECT pg_sleep(60) /* cancelled */"
                result: list[Any] = []
                thread = threading.Thread(
                    target=lambda: result.append(sqlstate(connection.execute, sleep))
                )  # noqa: B023
                thread.start()
                running = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid()"
                running += " AND query LIKE '%cancelled%' AND datname = current_database()"
                wait_until(lambda: watcher.execute(running).fetchone(), what="the sleep")
                cancel()
                thread.join()
                found += [*result, connection.execute("SELECT 'after'").fetchone()]
            connection.cancel_safe()  # nothing runs
            return [*found, connection.execute("SELECT 'still'").fetchone()]

    assert ["57014", ("after",)] * 2 + [("still",)] == both(scenario)


def test_notifies(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with connect(route) as listener, connect(route) as sender:
            listener.execute("LISTEN first")
            listener.execute('LISTEN "Second One"')
            for turn in range(3):
                sender.execute("SELECT pg_notify('first', %s)", (str(turn),))
                with sender.transaction():
                    sender.execute("""NOTIFY "Second One", 'in a transaction'""")
                with pytest.raises(ZeroDivisionError), sender.transaction():  # noqa: PT012
                    sender.execute("NOTIFY first, 'never'")
                    raise ZeroDivisionError
            heard = list(listener.notifies(timeout=3, stop_after=6))
            listener.execute("UNLISTEN first")
            sender.execute("NOTIFY first, 'unheard'")
            sender.execute("""NOTIFY "Second One", 'last'""")
            heard += listener.notifies(timeout=3, stop_after=1)
            listener.execute("SELECT 1")
            return [(notify.channel, notify.payload) for notify in heard]

    found = both(scenario)
    first = [("first", "0"), ("Second One", "in a transaction"), ("first", "1")]
    assert [*first, ("Second One", "last")] == [*found[:3], found[-1]]


def test_changed_result_types(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route, prepare_threshold=0) as one, connect(route, prepare_threshold=0) as two:
            one.execute("CREATE TABLE t AS SELECT 1 AS x")
            for _ in range(3):
                found += [one.execute("SELECT * FROM t").fetchall()]
            two.execute("ALTER TABLE t ADD y text DEFAULT 'new'")
            found += [sqlstate(one.execute, "SELECT * FROM t", prepare=False)]
            found += [one.execute("SELECT * FROM t", prepare=False).fetchall()]
            one.execute("DISCARD ALL")
            found += [one.execute("SELECT * FROM t").fetchall()]
            one.execute("DEALLOCATE ALL")
            found += [one.execute("SELECT * FROM t").fetchall()]
        return found

    assert [(1, "new")] == both(scenario)[-1]


def test_a_batch_of_several_results(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route, row_factory=dict_row) as connection:
            sql = "SELECT 1 AS a; CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2); SELECT x FROM t"
            cursor = connection.execute(sql)
            while True:
                found += [outcome(cursor)]
                if not cursor.nextset():
                    break
            found += [sqlstate(connection.execute, "INSERT INTO t VALUES (3); SELECT 1 / 0")]
            found += [connection.execute("SELECT count(*) FROM t").fetchone()]
            binary = connection.cursor(binary=True)
            found += [outcome(binary.execute("SELECT x, now() > '2000-01-01', 1.5::float8 FROM t"))]
        return found

    found = both(scenario)
    assert ["SELECT 1", "CREATE TABLE", "INSERT 0 2", "SELECT 2"] == [each[0] for each in found[:4]]
    assert {"count": 2} == found[5]


def test_large_values(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        value = bytes(range(256)) * 20_000
        with connect(route, prepare_threshold=0) as connection:
            found: list[Any] = []
            for _ in range(3):
                cursor = connection.execute("SELECT %b::bytea = %s, length(%s), %s", [value] * 4)
                row = cursor.fetchone()
                found += [row and (*row[:2], row[2] == value)]
            many = connection.execute("SELECT " + ",".join(["%s::int"] * 1600), range(1600))
            return [*found, many.fetchone() == tuple(range(1600))]

    assert [(True, 5_120_000, True)] * 3 + [True] == both(scenario)


def test_async_clients_share_backends(both: Both) -> None:
    async def client(route: Route, number: int) -> list[Any]:
        found: list[Any] = []
        dsn = route.dsn(application_name=f"app-{number}")
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            for turn in range(8):
                query = "SELECT %s::int, %s::text, current_setting('application_name')"
                found += [await (await connection.execute(query, (number, f"{turn}"))).fetchone()]
                async with connection.transaction():
                    await connection.execute("INSERT INTO t VALUES (%s)", (number,))
                    cursor = await connection.execute(
                        "SELECT count(*) FROM t WHERE x = %s", (number,)
                    )
                    found += [await cursor.fetchone()]
                async with connection.pipeline():
                    cursors = [await connection.execute("SELECT %s + 1", (n,)) for n in range(5)]
                    found += [await cursor.fetchone() for cursor in cursors]
        return found

    async def clients(route: Route) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(
            route.dsn(), autocommit=True
        ) as connection:
            await connection.execute("CREATE TABLE t (x int)")
        return list(await asyncio.gather(*[client(route, number) for number in range(12)]))

    found = both(lambda route: asyncio.run(clients(route)))
    assert (11, "7", "app-11") == found[11][-7]


def test_async_copy_and_cancel(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        async with await psycopg.AsyncConnection.connect(route.dsn()) as connection:
            found: list[Any] = []
            async with connection.cursor() as cursor:
                await cursor.execute("CREATE TABLE t (x int)")
                async with cursor.copy("COPY t FROM STDIN") as copy:
                    for n in range(1000):
                        await copy.write_row((n,))
                async with cursor.copy("COPY t TO STDOUT") as copy:
                    found += [[row async for row in copy.rows()]]
            await connection.commit()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(connection.execute("SELECT pg_sleep(60)"), 0.1)
            found += [connection.info.transaction_status.name]
            await connection.rollback()
            async with connection.cursor("named") as cursor:
                await cursor.execute("SELECT x FROM t ORDER BY x")
                found += [await cursor.fetchmany(3), [row async for row in cursor]]
            return found

    found = both(lambda route: asyncio.run(scenario(route)))
    assert ["INERROR", [(0,), (1,), (2,)]] == found[1:3]
