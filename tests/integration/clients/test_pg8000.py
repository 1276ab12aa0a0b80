"""pg8000: pure Python; it parses under a name, and reads each reply in step."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from tests.integration.clients.routes import Both, Route

native = pytest.importorskip("pg8000.native", reason="missing: pg8000")
dbapi = pytest.importorskip("pg8000.dbapi")


def where(route: Route) -> dict[str, Any]:
    parts = route.parts
    return {"database": parts.pop("dbname"), **parts, "ssl_context": None}


@contextmanager
def session(route: Route, **options: Any) -> Iterator[Any]:
    connection = native.Connection(**where(route), **options)
    try:
        yield connection
    finally:
        connection.close()


def code(work: Callable[..., Any], *arguments: Any, **options: Any) -> str:
    try:
        work(*arguments, **options)
    except dbapi.DatabaseError as error:
        return str(error.args[0]["C"])
    return "00000"


def test_statements(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with session(route) as connection:
            connection.run("CREATE TABLE t (x int PRIMARY KEY, y text, n numeric, d date)")
            for n in range(5):
                connection.run(
                    "INSERT INTO t VALUES (:x, :y, :n, :d)",
                    x=n, y=f"ä{n}", n=Decimal(n) / 8, d=dt.date(2024, 1, n + 1),
                )  # fmt: skip
                found += [connection.row_count]
            found += [connection.run("SELECT * FROM t WHERE x > :x ORDER BY x", x=2)]
            found += [[(c["name"], c["type_oid"]) for c in connection.columns]]
            found += [connection.run("SELECT 1; SELECT 2"), connection.row_count]
            found += [code(connection.run, "SELECT 1 / :x", x=0), code(connection.run, "SELEC")]
            found += [code(connection.run, "INSERT INTO t (x) VALUES (1)")]
            found += [
                connection.run(
                    "SELECT :a::int[], :b::bytea, :c::json", a=[1, None], b=b"\0\xff", c='{"a": 1}'
                )
            ]
            connection.run("DO $$BEGIN RAISE NOTICE 'heard'; END$$")
            found += [[(notice[b"S"], notice[b"C"], notice[b"M"]) for notice in connection.notices]]
            found += [
                dict(connection.parameter_statuses).get(name) for name in ("TimeZone", "DateStyle")
            ]
        return found

    found = both(scenario)
    assert ["22012", "42601", "23505"] == found[9:12]
    assert [(b"NOTICE", b"00000", b"heard")] == found[13]


def test_prepared_statements(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with session(route) as connection:
            one = connection.prepare("SELECT :x::int + 1")
            two = connection.prepare("SELECT 'text ' || :x")
            for n in range(10):
                found += [one.run(x=n), two.run(x=str(n)), code(one.run, x="not a number")]
            one.close()
            found += [two.run(x="last"), code(two.run, x="fine")]
            two.close()
        return found

    found = both(scenario)
    assert [[[1]], [["text 0"]], "22P02"] == found[:3]


def test_transactions_of_the_dbapi(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        connection = dbapi.connect(**where(route))
        cursor = connection.cursor()
        cursor.execute("CREATE TABLE t (x int)")
        connection.commit()
        cursor.executemany("INSERT INTO t VALUES (%s)", [(n,) for n in range(20)])
        connection.rollback()
        cursor.execute("SELECT count(*) FROM t")
        found += [cursor.fetchone(), cursor.rowcount, [column[:2] for column in cursor.description]]
        cursor.execute("INSERT INTO t VALUES (1), (2) RETURNING x")
        found += [cursor.fetchall()]
        found += [code(cursor.execute, "SELECT 1 / 0"), code(cursor.execute, "SELECT 1")]
        connection.rollback()
        connection.autocommit = True
        cursor.execute("INSERT INTO t VALUES (7)")
        cursor.execute("SELECT x FROM t")
        found += [cursor.fetchall()]
        connection.close()
        return found

    assert [([1], [2]), "22012", "25P02", ([7],)] == both(scenario)[3:]


def test_copy(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with session(route) as connection:
            connection.run("CREATE TABLE t (x int, y text)")
            lines = [f"{n},name {n}\n" for n in range(3000)]
            connection.run("COPY t FROM STDIN CSV", stream=lines)
            found += [connection.row_count]
            target = io.BytesIO()
            connection.run(
                "COPY (SELECT * FROM t ORDER BY x) TO STDOUT (FORMAT binary)", stream=target
            )
            found += [target.getvalue(), connection.row_count]
            connection.run(
                "COPY t FROM STDIN (FORMAT binary)", stream=io.BytesIO(target.getvalue())
            )
            found += [code(connection.run, "COPY t FROM STDIN", stream=["1\tok\n", "bad\n"])]
            found += [connection.run("SELECT count(*), sum(x) FROM t")]
        return found

    assert [3000, "22P02", [[6000, 8997000]]] == both(scenario)[2:]


def test_settings_and_notifies(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with session(
            route, application_name="eight", startup_params={"work_mem": "5MB"}
        ) as connection:
            connection.run("SET TimeZone = 'Asia/Tokyo'")
            for _ in range(10):
                names = ("application_name", "work_mem", "TimeZone")
                found += [
                    connection.run("SELECT " + ", ".join(f"current_setting('{n}')" for n in names))
                ]
            connection.run("LISTEN here")
            connection.run("NOTIFY here, 'one'")
            for _ in range(300):
                connection.run("SELECT pg_sleep(0.01)")
                if connection.notifications:
                    break
            found += [[tuple(each)[1:] for each in connection.notifications]]
        return found

    found = both(scenario)
    assert [[["eight", "5MB", "Asia/Tokyo"]]] * 10 == found[:10]
    assert [("here", "one")] == found[10]
