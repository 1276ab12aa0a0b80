"""psycopg 3: what flows: pipelines, COPY, cursors, chunks, notifications, cancel requests."""

from __future__ import annotations

import asyncio
import datetime as dt
import threading
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from tests.integration.clients.psycopg_support import Connection, Cursor, connect, outcome, sqlstate
from tests.integration.clients.routes import Both, Route
from tests.support import wait_until


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


SLEEP = "SELECT pg_sleep(60)"
SLEEPING = """SELECT 1 FROM pg_stat_activity WHERE state = 'active'
    AND query = 'SELECT pg_sleep(60)' AND datname = current_database()"""


class Sleeper(threading.Thread):
    """Runs what somebody must cancel."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self.sqlstate: str | None = None
        self._connection = connection

    def run(self) -> None:
        self.sqlstate = sqlstate(self._connection.execute, SLEEP)


def test_cancel(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        with connect(route) as connection, connect(route) as watcher:
            found: list[Any] = []
            for cancel in (connection.cancel, connection.cancel_safe):
                sleeper = Sleeper(connection)
                sleeper.start()
                wait_until(lambda: watcher.execute(SLEEPING).fetchone(), what="the sleep")
                cancel()
                sleeper.join()
                found += [sleeper.sqlstate, connection.execute("SELECT 'after'").fetchone()]
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
            heard = list(listener.notifies(timeout=20, stop_after=6))
            listener.execute("UNLISTEN first")
            sender.execute("NOTIFY first, 'unheard'")
            sender.execute("""NOTIFY "Second One", 'last'""")
            heard += listener.notifies(timeout=20, stop_after=1)
            listener.execute("SELECT 1")
            return [(notify.channel, notify.payload) for notify in heard]

    found = both(scenario)
    first = [("first", "0"), ("Second One", "in a transaction"), ("first", "1")]
    assert [*first, ("Second One", "last")] == [*found[:3], found[-1]]


def test_a_batch_of_several_results(both: Both) -> None:
    def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        with connect(route, row_factory=dict_row) as connection:
            sql = "SELECT 1 AS a; CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2); TABLE t"
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
                await asyncio.wait_for(connection.execute("SELECT pg_sleep(60)"), 0.3)
            found += [connection.info.transaction_status.name]
            await connection.rollback()
            async with connection.cursor("named") as cursor:
                await cursor.execute("SELECT x FROM t ORDER BY x")
                found += [await cursor.fetchmany(3), [row async for row in cursor]]
            return found

    found = both(lambda route: asyncio.run(scenario(route)))
    assert ["INERROR", [(0,), (1,), (2,)]] == found[1:3]
