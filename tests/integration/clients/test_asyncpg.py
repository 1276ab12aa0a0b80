"""asyncpg: named statements for everything, types asked of the catalog, a reset on each release."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from tests.integration.clients.routes import Both, Route
from tests.support import wait_until_async

asyncpg = pytest.importorskip("asyncpg", reason="missing: asyncpg")

T = TypeVar("T")
Scenario = Callable[[Route], Coroutine[Any, Any, T]]


OPENED: list[Any] = []


def run(scenario: Scenario[T]) -> Callable[[Route], T]:
    return lambda route: asyncio.run(closing(scenario(route)))


async def closing(work: Coroutine[Any, Any, T]) -> T:
    """Closes what a scenario that failed left open."""
    try:
        return await work
    finally:
        while OPENED:
            OPENED.pop().terminate()
        await asyncio.sleep(0)


async def connect(route: Route, **options: Any) -> Any:
    OPENED.append(await asyncpg.connect(route.url(), ssl=False, **options))
    return OPENED[-1]


async def sqlstate(work: Awaitable[Any]) -> str | None:
    try:
        await work
    except asyncpg.PostgresError as error:
        return str(error.sqlstate)
    return "00000"


def plain(records: list[Any]) -> list[dict[str, Any]]:
    return [dict(record) for record in records]


@pytest.mark.parametrize("cache", [0, 1, 100])
def test_statements(both: Both, cache: int) -> None:
    async def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        connection = await connect(route, statement_cache_size=cache)
        found += [
            await connection.execute(
                "CREATE TABLE t (x int PRIMARY KEY, y text, n numeric, u uuid)"
            )
        ]
        values = [(n, f"ä{n}", decimal.Decimal(n) / 7, uuid.UUID(int=n)) for n in range(20)]
        await connection.executemany("INSERT INTO t VALUES ($1, $2, $3, $4)", values)
        for _ in range(3):
            found += [plain(await connection.fetch("SELECT * FROM t WHERE x < $1 ORDER BY x", 4))]
            found += [await connection.fetchval("SELECT $1::int[]", [1, None, 3])]
            found += [
                plain([await connection.fetchrow("SELECT $1::interval AS i", dt.timedelta(days=3))])
            ]
            found += [await connection.execute("UPDATE t SET y = 'new' WHERE x = $1", 5)]
            found += [await connection.execute("SELECT 1; SELECT 2; DELETE FROM t WHERE x = 19")]
            found += [await sqlstate(connection.fetch("SELECT 1 / $1::int", 0))]
            found += [await sqlstate(connection.fetch("SELECT * FROM nothing"))]
        await connection.close()
        return found

    found = both(run(scenario))
    assert "CREATE TABLE" == found[0]
    assert ["UPDATE 1", "DELETE 1", "22012", "42P01"] == found[4:8]


def test_prepared_statements(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        connection = await connect(route)
        statement = await connection.prepare(
            "SELECT g, $1::text AS t FROM generate_series(1, $2) g"
        )
        parameters = [(p.name, p.oid) for p in statement.get_parameters()]
        attributes = [(a.name, a.type.oid) for a in statement.get_attributes()]
        found: list[Any] = [parameters, attributes]
        other = await connection.prepare("SELECT 'other'")
        for n in range(5):
            found += [plain(await statement.fetch(f"{n}", n)), await other.fetchval()]
            found += [statement.get_statusmsg(), await statement.fetchval("x", 2, column=1)]
        found += [await statement.explain("x", 1) != []]
        await connection.close()
        return found

    found = both(run(scenario))
    assert [[("text", 25), ("int4", 23)], [("g", 23), ("t", 25)]] == found[:2]


def test_types_asked_of_the_catalog(both: Both) -> None:
    # asyncpg sets jit while it asks, and sets it back.
    async def scenario(route: Route) -> list[Any]:
        connection = await connect(route)
        await connection.execute(
            "CREATE TYPE mood AS ENUM ('sad', 'glad');"
            "CREATE DOMAIN positive AS int CHECK (VALUE > 0);"
            "CREATE TYPE pair AS (a int, b mood); CREATE TABLE t (p pair, m mood[], d positive)"
        )
        await connection.execute(
            "INSERT INTO t VALUES ($1, $2, $3)", (1, "sad"), ["glad", "sad"], 5
        )
        found = [(tuple(p), m, d) for p, m, d in await connection.fetch("SELECT * FROM t")]
        await connection.reload_schema_state()
        found += [tuple(await connection.fetchval("SELECT p FROM t"))]
        await connection.set_type_codec("mood", encoder=str.lower, decoder=str.upper)
        found += [
            await connection.fetchval("SELECT 'sad'::mood"),
            await connection.fetchval("SHOW jit"),
        ]
        await connection.close()
        return found

    assert [((1, "sad"), ["glad", "sad"], 5), (1, "sad"), "SAD", "off"] == both(run(scenario))


def test_transactions_and_cursors(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        connection = await connect(route)
        await connection.execute("CREATE TABLE t (x int)")
        async with connection.transaction(isolation="serializable"):
            await connection.execute("INSERT INTO t SELECT generate_series(1, 100)")
            with pytest.raises(asyncpg.DivisionByZeroError):  # noqa: PT012
                async with connection.transaction():
                    await connection.execute("DELETE FROM t")
                    await connection.execute("SELECT 1 / 0")
            found += [
                [r["x"] async for r in connection.cursor("SELECT x FROM t ORDER BY x", prefetch=9)]
            ]
            cursor = await connection.cursor("SELECT x FROM t WHERE x > $1 ORDER BY x", 50)
            found += [
                plain(await cursor.fetch(3)),
                await cursor.forward(10),
                plain([await cursor.fetchrow()]),
            ]
        transaction = connection.transaction(
            readonly=True, deferrable=True, isolation="serializable"
        )
        await transaction.start()
        found += [await sqlstate(connection.execute("DELETE FROM t"))]
        found += [await sqlstate(connection.execute("SELECT 1"))]
        await transaction.rollback()
        found += [await connection.fetchval("SELECT sum(x) FROM t"), connection.is_in_transaction()]
        await connection.close()
        return found

    assert [10, [{"x": 64}], "25006", "25P02", 5050, False] == both(run(scenario))[2:]


def test_copy(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        connection = await connect(route)
        await connection.execute("CREATE TABLE t (x int, y text, d date)")
        records = [(n, f"name {n}", dt.date(2024, 1, 1) if n % 2 else None) for n in range(5000)]
        found += [await connection.copy_records_to_table("t", records=records)]
        chunks: list[bytes] = []

        async def keep(data: bytes) -> None:
            chunks.append(data)

        found += [
            await connection.copy_from_query(
                "SELECT * FROM t WHERE x < $1 ORDER BY x", 1000, output=keep
            )
        ]
        found += [b"".join(chunks)]
        copied = connection.copy_to_table("t", source=source(b"1\tone\t\\N\n", 500))
        found += [await copied]
        found += [await sqlstate(connection.copy_to_table("t", source=source(b"bad\n", 1)))]
        found += [await sqlstate(connection.copy_from_table("nothing", output=keep))]
        with pytest.raises(ZeroDivisionError):
            await connection.copy_to_table("t", source=source(b"", 1, fail=True))
        found += [await connection.fetchval("SELECT count(*) FROM t")]
        await connection.close()
        return found

    found = both(run(scenario))
    assert ["COPY 5000", "COPY 1000"] == found[:2]
    assert ["COPY 500", "22P02", "42P01", 5500] == found[3:]


async def source(line: bytes, count: int, fail: bool = False) -> Any:
    for _ in range(count):
        yield line
    if fail:
        raise ZeroDivisionError


def test_pool_with_reset(both: Both) -> None:
    # On release: SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL;
    async def work(pool: Any, number: int) -> list[Any]:
        found: list[Any] = []
        for turn in range(6):
            async with pool.acquire() as connection:
                found += [
                    await connection.fetchval("SHOW work_mem"),
                    await connection.fetchval("SHOW search_path"),
                ]
                await connection.execute(f"SET work_mem = '{number + 1}MB'")
                await connection.execute("SET search_path = elsewhere")
                found += [await connection.fetchval("SELECT $1::int", turn)]
                found += [await connection.fetchval("SHOW work_mem")]
                async with connection.transaction():
                    await connection.execute("INSERT INTO public.t VALUES ($1)", number)
        return found

    async def scenario(route: Route) -> list[Any]:
        settings = {"application_name": "pooled", "work_mem": "3MB"}
        options = {"min_size": 2, "max_size": 6, "ssl": False, "server_settings": settings}
        async with asyncpg.create_pool(route.url(), **options) as pool:
            await pool.execute("CREATE TABLE t (x int)")
            found = list(await asyncio.gather(*[work(pool, number) for number in range(10)]))
            rows = await pool.fetch("SELECT x, count(*) FROM t GROUP BY x ORDER BY x")
            return [found, plain(rows), await pool.fetchval("SHOW application_name")]

    found, rows, name = both(run(scenario))
    assert ["3MB", '"$user", public', 0, "10MB"] == found[9][:4]
    assert [{"x": n, "count": 6} for n in range(10)] == rows
    assert "pooled" == name


def test_many_clients(both: Both) -> None:
    async def client(route: Route, number: int) -> list[Any]:
        connection = await connect(route, server_settings={"TimeZone": f"Etc/GMT+{number}"})
        found: list[Any] = []
        for turn in range(10):
            found += [await connection.fetchval("SELECT $1::int * 10 + $2::int", number, turn)]
            found += [await connection.fetchval(f"SELECT 'text {turn % 3} of {number}'")]
            found += [await connection.fetchval("SHOW TimeZone")]
            async with connection.transaction():
                found += [await connection.fetchval("SELECT $1::text", f"{number}")]
        await connection.close()
        return found

    async def scenario(route: Route) -> list[Any]:
        return list(await asyncio.gather(*[client(route, number) for number in range(12)]))

    found = both(run(scenario))
    assert [119, "text 0 of 11", "Etc/GMT+11", "11"] == found[11][-4:]


def test_cancel_and_timeout(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        connection = await connect(route)
        with pytest.raises(TimeoutError):
            await connection.fetch("SELECT pg_sleep(60)", timeout=0.3)
        found = [await connection.fetchval("SELECT 'after'")]
        task = asyncio.create_task(connection.fetch("SELECT pg_sleep(60)"))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        found += [await connection.fetchval("SELECT 'again'")]
        await connection.close()
        return found

    assert ["after", "again"] == both(run(scenario))


def test_changed_tables(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        found: list[Any] = []
        connection, other = await connect(route), await connect(route)
        await connection.execute("CREATE TABLE t AS SELECT 1 AS x")
        for column in ("y", "z"):
            found += [plain(await connection.fetch("SELECT * FROM t"))]
            await other.execute(f"ALTER TABLE t ADD {column} text DEFAULT 'new'")
            found += [plain(await connection.fetch("SELECT * FROM t"))]
        async with connection.transaction():
            await connection.fetch("SELECT * FROM t WHERE x = $1", 1)
            await connection.execute("ALTER TABLE t DROP y")
            found += [await sqlstate(connection.fetch("SELECT * FROM t WHERE x = $1", 1))]
        found += [plain(await connection.fetch("SELECT * FROM t WHERE x = $1", 1))]
        await connection.close()
        await other.close()
        return found

    assert [{"x": 1, "y": "new", "z": "new"}] == both(run(scenario))[3]


def test_listeners_and_notices(both: Both) -> None:
    async def scenario(route: Route) -> list[Any]:
        connection, sender = await connect(route), await connect(route)
        heard: list[Any] = []
        notices: list[Any] = []
        await connection.add_listener(
            "here", lambda _c, _pid, channel, payload: heard.append((channel, payload))
        )
        connection.add_log_listener(
            lambda _, message: notices.append((message.severity, message.sqlstate, message.message))
        )
        for n in range(3):
            await sender.execute("SELECT pg_notify('here', $1)", str(n))
        await connection.execute("DO $$BEGIN RAISE WARNING 'careful'; END$$")

        async def all_heard() -> bool:
            return len(heard) == 3 and len(notices) == 1

        await wait_until_async(all_heard, what="three notifications and a notice")
        await connection.reset()
        await connection.close()
        await sender.close()
        return heard + notices

    assert [("here", "2"), ("WARNING", "01000", "careful")] == both(run(scenario))[2:]
