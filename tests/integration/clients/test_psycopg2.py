"""psycopg2: it sends whole statements by the simple protocol, and Python in front of Django did."""

from __future__ import annotations

import io
import select
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.clients.routes import Both, Route
from tests.support import wait_until

psycopg2 = pytest.importorskip("psycopg2", reason="missing: psycopg2")
extras = pytest.importorskip("psycopg2.extras")
extensions = pytest.importorskip("psycopg2.extensions")


class Session:
    """A connection in a `with`; psycopg2's own ends only the transaction."""

    def __init__(self, route: Route, autocommit: bool = True, **options: Any) -> None:
        self.connection = psycopg2.connect(route.dsn(), **options)
        self.connection.autocommit = autocommit

    def __enter__(self) -> Any:
        return self.connection

    def __exit__(self, *_: object) -> None:
        self.connection.close()


def pgcode(work: Callable[..., Any], *arguments: Any) -> str | None:
    try:
        work(*arguments)
    except psycopg2.Error as error:
        return error.pgcode
    return "00000"


def outcome(cursor: Any) -> tuple[Any, ...]:
    columns = [(c.name, c.type_code) for c in cursor.description or ()]
    return cursor.statusmessage, cursor.rowcount, columns, cursor.fetchall() if columns else None


def test_statements_and_errors(both: Both) -> None:
    statements = [
        ("CREATE TABLE t (x int PRIMARY KEY, y text, z date[])", None),
        ("INSERT INTO t VALUES (%s, %s, NULL), (2, 'ä☃', '{2024-02-29}') RETURNING x", (1, "it's")),
        ("SELECT * FROM t ORDER BY x", None),
        ("UPDATE t SET y = %(y)s WHERE x = %(x)s", {"x": 2, "y": "\\new"}),
        ("SELECT 1; SELECT 2, 'last'", None),
        ("DELETE FROM t", None),
    ]
    failing = ["SELECT 1/0", "SELEC", "INSERT INTO t VALUES (1), (1)", "SELECT 1; SELECT nothing"]

    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with Session(route) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(*statement)
                found += [outcome(cursor)]
            for query in failing:
                found += [pgcode(cursor.execute, query), connection.get_transaction_status()]
            cursor.execute("DO $$BEGIN RAISE NOTICE 'heard'; END$$")
            parameters = [
                connection.get_parameter_status(name) for name in ("TimeZone", "DateStyle")
            ]
            return [*found, connection.notices, connection.encoding, *parameters]

    found = both(scenario)
    assert ("SELECT 1", 1, [(2, "last")]) == (*found[4][:2], found[4][3])
    assert ["22012", 0, "42601", 0, "23505", 0, "42703", 0, ["NOTICE:  heard\n"]] == found[6:15]


def test_transactions(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with Session(route, autocommit=False) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (x int)")
            connection.commit()
            with connection:
                cursor.execute("INSERT INTO t VALUES (1)")
            with pytest.raises(psycopg2.errors.DivisionByZero), connection:  # noqa: PT012
                cursor.execute("INSERT INTO t VALUES (2)")
                cursor.execute("SELECT 1/0")
            connection.set_session(isolation_level="SERIALIZABLE", readonly=True)
            cursor.execute("SELECT current_setting('transaction_isolation'), sum(x) FROM t")
            found += [cursor.fetchone(), pgcode(cursor.execute, "DELETE FROM t")]
            connection.reset()
            cursor.execute("SHOW transaction_isolation")
            found += [cursor.fetchone(), connection.get_transaction_status()]
            connection.rollback()
            return [*found, connection.get_transaction_status()]

    expected = [("serializable", 1), "25006", ("read committed",), 2, 0]
    assert expected == both(scenario)


def test_named_cursors(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with Session(route, autocommit=False) as connection:
            with connection.cursor("named") as cursor:
                cursor.itersize = 10
                cursor.execute("SELECT g, 'row ' || g FROM generate_series(1, %s) g", (45,))
                found += [
                    cursor.fetchone(),
                    cursor.fetchmany(5),
                    len(list(cursor)),
                    cursor.rowcount,
                ]
            with connection.cursor("scrolled", scrollable=True) as cursor:
                cursor.execute("SELECT generate_series(1, 20)")
                cursor.scroll(10)
                found += [cursor.fetchone()]
                cursor.scroll(2, mode="absolute")
                found += [cursor.fetchall()]
            connection.commit()
            with connection.cursor("held", withhold=True) as cursor:
                cursor.execute("SELECT generate_series(1, 9)")
                connection.commit()
                found += [cursor.fetchmany(3)]
                connection.commit()
                found += [cursor.fetchall()]
        return found

    found = both(scenario)
    assert (1, "row 1") == found[0]
    assert [(1,), (2,), (3,)] == found[-2]


def test_copy(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        lines = "".join(f"{n}\tname {n}\n" for n in range(20_000))
        with Session(route) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (x int, y text)")
            cursor.copy_from(io.StringIO(lines), "t")
            found += [outcome(cursor)]
            cursor.copy_expert("COPY t (x) FROM STDIN CSV HEADER", io.StringIO("x\n1\n2\n"))
            target = io.BytesIO()
            cursor.copy_expert(
                "COPY (SELECT * FROM t ORDER BY x, y) TO STDOUT (FORMAT binary)", target
            )
            found += [target.getvalue(), cursor.rowcount]
            bad = ("COPY t FROM STDIN", io.StringIO("1\tok\nbad\n"))
            found += [pgcode(cursor.copy_expert, *bad)]
            found += [pgcode(cursor.copy_expert, "COPY nothing TO STDOUT", io.StringIO())]
            cursor.execute("SELECT count(*) FROM t")
            return [*found, cursor.fetchone()]

    found = both(scenario)
    assert [20_002, "22P02", "42P01", (20_002,)] == found[2:]


def test_execute_values_and_batch(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with Session(route) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE t (x int, y text)")
            values = [(n, f"name {n}") for n in range(1000)]
            insert = "INSERT INTO t VALUES %s RETURNING x"
            found = [extras.execute_values(cursor, insert, values, page_size=300, fetch=True)]
            extras.execute_batch(
                cursor, "UPDATE t SET y = %s WHERE x = %s", [("new", n) for n in range(250)]
            )
            cursor.executemany("INSERT INTO t VALUES (%s, 'many')", [(n,) for n in range(20)])
            cursor.execute(
                "SELECT y, count(*) FROM t WHERE y NOT LIKE 'name%' GROUP BY y ORDER BY y"
            )
            return [*found, cursor.fetchall()]

    found = both(scenario)
    assert [(n,) for n in range(1000)] == found[0]


def test_large_objects(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with Session(route, autocommit=False) as connection:
            large = connection.lobject(0, "wb")
            large.write(b"0123456789" * 50_000)
            connection.commit()
            again = connection.lobject(large.oid, "rb")
            again.seek(499_995)
            found = [again.read(), again.tell(), again.unlink()]
            connection.commit()
            return [*found, pgcode(connection.lobject, large.oid, "rb")]

    assert [b"56789", 500_000, None, None] == both(scenario)


def test_cancel_and_asynchronous(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with Session(route) as connection, Session(route) as watcher, watcher.cursor() as watching:
            thread = threading.Thread(
                target=lambda: found.append(
                    pgcode(connection.cursor().execute, "SELECT pg_sleep(60)")
                )
            )
            thread.start()
            sql = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
            sql += "AND state = 'active' AND query = 'SELECT pg_sleep(60)'"

            def sleeping() -> bool:
                watching.execute(sql)
                return watching.fetchone() is not None

            wait_until(sleeping)
            connection.cancel()
            thread.join()
        connection = psycopg2.connect(route.dsn(), async_=1)
        try:
            wait(connection)
            cursor = connection.cursor()
            cursor.execute("SELECT generate_series(1, 5)")
            wait(connection)
            return [*found, cursor.fetchall()]
        finally:
            connection.close()

    assert ["57014", [(n,) for n in range(1, 6)]] == both(scenario)


def wait(connection: Any) -> None:
    """Until an asynchronous connection has done what it was asked."""
    while (state := connection.poll()) != extensions.POLL_OK:
        reading = [connection] if state == extensions.POLL_READ else []
        writing = [connection] if state == extensions.POLL_WRITE else []
        assert any(select.select(reading, writing, [], 10.0))


def test_settings(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        options = {"options": "-c work_mem=5MB -c TimeZone=Asia/Tokyo", "application_name": "two"}
        with Session(route, **options) as connection, connection.cursor() as cursor:
            connection.set_client_encoding("LATIN1")
            for _ in range(10):
                names = ("work_mem", "TimeZone", "client_encoding", "application_name")
                cursor.execute(
                    "SELECT 'é', " + ", ".join(f"current_setting('{name}')" for name in names)
                )
                found += [cursor.fetchone()]
            cursor.execute("SET work_mem = '6MB'; SET my.own = 'x'")
            for _ in range(10):
                cursor.execute("SELECT current_setting('work_mem'), current_setting('my.own')")
                found += [cursor.fetchone()]
            connection.reset()  # ABORT; RESET ALL; SET SESSION AUTHORIZATION DEFAULT
            cursor.execute("SELECT current_setting('work_mem'), current_setting('my.own')")
            return [*found, cursor.fetchone()]

    found = both(scenario)
    assert [("é", "5MB", "Asia/Tokyo", "LATIN1", "two")] * 10 == found[:10]
    assert [("6MB", "x")] * 10 + [("5MB", "")] == found[10:]


def test_notifies(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with Session(route) as connection, Session(route) as sender:
            connection.cursor().execute("LISTEN here")
            for n in range(3):
                sender.cursor().execute("SELECT pg_notify('here', %s)", (str(n),))

            def heard() -> bool:
                connection.poll()
                return len(connection.notifies) == 3

            wait_until(heard, what="three notifications")
            return [(notify.channel, notify.payload) for notify in connection.notifies]

    assert [("here", "0"), ("here", "1"), ("here", "2")] == both(scenario)
