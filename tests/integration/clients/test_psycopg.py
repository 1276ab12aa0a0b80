"""psycopg 3: statements, errors, transactions, settings, notices; sync and async."""

from __future__ import annotations

import asyncio
import datetime as dt
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import errors
from psycopg.types.json import Jsonb

from tests.integration.clients.psycopg_support import connect, outcome, sqlstate
from tests.integration.clients.routes import Both, Route

THRESHOLDS = [None, 0, 5]
LEAP_DAY = dt.date(2024, 2, 29)
REPORTED = (
    "TimeZone",
    "DateStyle",
    "server_version",
    "client_encoding",
    "application_name",
    "integer_datetimes",
    "standard_conforming_strings",
    "search_path",
    "is_superuser",
)


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_statements(both: Both, threshold: int | None) -> None:
    noon = dt.datetime(2024, 1, 2, 12, tzinfo=dt.UTC)
    first = (1, "ä☃", noon, Decimal("1.50"), Jsonb({"a": [1, None]}))
    statements: list[tuple[str, tuple[Any, ...]]] = [
        ("CREATE TABLE t (id int PRIMARY KEY, name text, at timestamptz, n numeric, j jsonb)", ()),
        ("INSERT INTO t VALUES (%s, %s, %s, %s, %s)", first),
        ("INSERT INTO t (id, name) SELECT g, %s FROM generate_series(2, 9) g RETURNING id", ("x",)),
        ("SELECT * FROM t WHERE id <= %s ORDER BY id", (3,)),
        ("UPDATE t SET name = upper(name) WHERE id > %s", (5,)),
        ("DELETE FROM t WHERE id = ANY(%s) RETURNING *", ([7, 8],)),
        ("SELECT %s::int, %s::text, %s::bytea, %s::date[]", (None, "", b"\0\xff", [LEAP_DAY])),
        ("SELECT", ()),
        ("", ()),
        ("VALUES (1, 'a'), (2, NULL)", ()),
        ("TABLE t ORDER BY 1 LIMIT %s", (2,)),
    ]

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
                found += [diag.constraint_name, diag.table_name, diag.schema_name]
                found += [diag.message_primary, diag.message_detail]
                found += [diag.severity_nonlocalized, diag.source_function]
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
            found += [status(name) for name in REPORTED]
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
