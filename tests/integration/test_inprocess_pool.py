"""The traced pools do what psycopg_pool documents of its own, on a real server."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection, Connection
from psycopg.rows import DictRow, dict_row
from psycopg_pool import (
    AsyncConnectionPool,
    AsyncNullConnectionPool,
    ConnectionPool,
    NullConnectionPool,
    PoolClosed,
    PoolTimeout,
    TooManyRequests,
)

import dbopt
from dbopt import (
    AsyncTracedConnectionPool,
    AsyncTracedNullConnectionPool,
    TracedConnectionPool,
    TracedNullConnectionPool,
)
from tests.support import wait_until, wait_until_async


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    logging.getLogger("psycopg.pool").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("psycopg.pool").setLevel(logging.NOTSET)


class Mine(Connection[DictRow]):
    """An application's own class of connections."""

    def answer(self) -> int:
        row = self.execute("SELECT 42 AS n").fetchone()
        assert row is not None
        return int(row["n"])


class MineAsync(AsyncConnection[DictRow]):
    """The same for asyncio."""


def pid(connection: Connection[Any]) -> int:
    return connection.info.backend_pid


def test_they_are_psycopgs_pools() -> None:
    assert issubclass(TracedConnectionPool, ConnectionPool)
    assert issubclass(TracedNullConnectionPool, NullConnectionPool)
    assert issubclass(AsyncTracedConnectionPool, AsyncConnectionPool)
    assert issubclass(AsyncTracedNullConnectionPool, AsyncNullConnectionPool)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = dbopt.nothing  # type: ignore[attr-defined]


def test_an_applications_connection_class(pg_dsn: str) -> None:
    with TracedConnectionPool[Mine](
        pg_dsn,
        connection_class=Mine,
        kwargs={"row_factory": dict_row, "autocommit": True},
        min_size=1,
    ) as pool:
        with pool.connection() as connection:
            assert isinstance(connection, Mine)
            assert "Mine" in repr(connection)
            assert 42 == connection.answer()
        assert ["SELECT $1 AS n"] == [one.text for one in pool.statements()]


class Early(psycopg.Connection[Any]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.autocommit = True
        self.execute("SET lock_timeout = '7s'")


def test_a_connection_class_that_runs_statements_as_it_is_made(pg_dsn: str) -> None:
    with TracedConnectionPool(
        pg_dsn, connection_class=Early, kwargs={"autocommit": True}, min_size=1, report_to=""
    ) as pool:
        with pool.connection() as connection:
            assert ("7s",) == connection.execute("SHOW lock_timeout").fetchone()
        assert ["SHOW lock_timeout"] == [one.text for one in pool.statements()]
        assert 0 == pool.trace_faults


def test_a_connection_is_not_lost_to_a_signal(pg_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with TracedConnectionPool(pg_dsn, min_size=1, max_size=1, report_to="") as pool:
        with monkeypatch.context() as patch:
            patch.setattr("dbopt.inprocess.pool.leased", interrupted)
            with pytest.raises(KeyboardInterrupt):
                pool.getconn()
        with pool.connection(timeout=5.0) as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()


def test_wait_open_close_and_stats(pg_dsn: str) -> None:
    pool = TracedConnectionPool(pg_dsn, min_size=2, max_size=3, open=False, name="named")
    with pytest.raises(PoolClosed):
        pool.getconn()
    pool.open(wait=True, timeout=10)
    assert (2, 3, 2) == (pool.min_size, pool.max_size, pool.get_stats()["pool_size"])
    pool.resize(1, 2)
    assert 2 == pool.max_size
    with pool.connection() as connection:
        connection.execute("SELECT 1")
    pool.drain()
    pool.check()
    assert 2 == pool.pop_stats()["requests_num"]
    pool.close()
    assert pool.closed
    pool.close()
    with pytest.raises(PoolClosed):
        pool.getconn()
    assert 1 == sum("SELECT" in one.text for one in pool.statements())


def test_configure_check_and_reset(pg_dsn: str) -> None:
    called: list[str] = []

    def configure(connection: Connection[Any]) -> None:
        called.append("configure")
        connection.execute("SET application_name TO configured")
        connection.commit()

    def check(connection: Connection[Any]) -> None:
        called.append("check")
        TracedConnectionPool.check_connection(connection)

    def reset(connection: Connection[Any]) -> None:
        called.append("reset")
        connection.execute("SELECT 1")
        connection.rollback()

    with TracedConnectionPool(
        pg_dsn, min_size=1, configure=configure, check=check, reset=reset, report_to=""
    ) as pool:
        with pool.connection() as connection:
            assert "configured" == connection.info.parameter_status("application_name")
        wait_until(lambda: "reset" in called)
        assert ["configure", "check", "reset"] == called
        texts = {one.text for one in pool.statements()}
        assert "" not in texts
        assert 0 == pool.trace_faults


def test_a_check_replaces_a_lost_connection(pg_dsn: str, pg_conn: psycopg.Connection[Any]) -> None:
    with TracedConnectionPool(
        pg_dsn, min_size=1, check=TracedConnectionPool.check_connection
    ) as pool:
        with pool.connection() as connection:
            first = pid(connection)
        pg_conn.execute("SELECT pg_terminate_backend(%s, 5000)", [first])
        with pool.connection() as connection:
            assert first != pid(connection)


def test_lifetime_and_broken_connections(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, max_lifetime=1e-6) as pool:
        with pool.connection() as connection:
            first = pid(connection)
        with pool.connection() as connection:
            second = pid(connection)
            assert first != second
            connection.close()
        with pool.connection() as connection:
            assert second != pid(connection)


def test_timeouts_and_a_bounded_queue(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, max_waiting=2, timeout=0.05) as pool:
        pool.wait()
        held = pool.getconn()
        with pytest.raises(PoolTimeout):
            pool.getconn()  # psycopg_pool keeps its place until a connection comes free
        waiting = threading.Thread(target=lambda: pool.putconn(pool.getconn(10)))
        waiting.start()
        wait_until(lambda: pool.get_stats()["requests_waiting"] == 2)
        with pytest.raises(TooManyRequests):
            pool.getconn()
        pool.putconn(held)
        waiting.join()
        with pytest.raises(ValueError, match="doesn't come from any pool"):
            pool.putconn(held)


def test_a_server_that_is_not_there() -> None:
    with TracedConnectionPool(
        "host=127.0.0.1 port=1 dbname=none", min_size=1, reconnect_timeout=0.1, num_workers=1
    ) as pool:
        with pytest.raises(PoolTimeout):
            pool.getconn(timeout=0.1)
        assert [] == pool.statements()


def test_a_connection_in_a_transaction_is_rolled_back_when_it_returns(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="") as pool:
        connection = pool.getconn()
        connection.execute("SELECT 1")
        pool.putconn(connection)
        (transactions,) = pool.transactions()
        assert (1, 1, 1) == (transactions.count, transactions.failed, transactions.statements)
        # An error within the block rolls back, and is the application's as it was.
        with pytest.raises(psycopg.errors.DivisionByZero), pool.connection() as connection:
            connection.execute("SELECT 1 / 0")
        assert 2 == pool.transactions()[0].failed


def test_close_returns(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, close_returns=True) as pool:
        connection = pool.getconn()
        first = pid(connection)
        connection.close()
        with pool.connection() as connection:
            assert first == pid(connection)


def test_cancelling_from_another_thread(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="") as pool:
        with pool.connection() as connection:
            ended = threading.Event()

            def cancel() -> None:  # also once too early, which does nothing
                while not ended.wait(0.1):
                    connection.cancel()

            thread = threading.Thread(target=cancel)
            thread.start()
            with pytest.raises(psycopg.errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(30)")
            ended.set()
            thread.join()
            connection.rollback()
        assert {"57014": 1} == pool.statements()[0].errors


def test_notifies_and_notices(pg_dsn: str) -> None:
    heard: list[str | None] = []
    with TracedConnectionPool(
        pg_dsn, min_size=1, kwargs={"autocommit": True}, report_to=""
    ) as pool:
        with pool.connection() as connection:
            connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
            connection.execute("DO $$ BEGIN RAISE NOTICE 'hello'; END $$")
            connection.execute("LISTEN a")
            connection.execute("NOTIFY a, 'x'")
            assert ["x"] == [one.payload for one in connection.notifies(timeout=5, stop_after=1)]
        assert ["hello"] == heard
        assert 0 == pool.trace_faults


def test_two_phase_commit_is_observed(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=1, report_to="") as pool:
        with pool.connection() as connection:
            connection.tpc_begin(connection.xid(1, "a", "b"))
            connection.execute("SELECT 1")
            connection.tpc_commit()
        assert {"BEGIN", "SELECT $1", "COMMIT"} <= {one.text for one in pool.statements()}
        assert 1 == pool.transactions()[0].count
        assert 0 == pool.trace_faults


def test_threads_lose_no_count(pg_dsn: str) -> None:
    with TracedConnectionPool(pg_dsn, min_size=4, report_to="") as pool:

        def work() -> None:
            for number in range(50):
                with pool.connection() as connection:
                    connection.execute("SELECT %s::int", [number])

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for _ in range(20):
            pool.statements()
        for thread in threads:
            thread.join()
        found = {one.text: (one.calls, one.rows) for one in pool.statements()}
        assert (200, 200) == found["SELECT $1::int"]
        assert 200 == pool.transactions()[0].count


def test_a_null_pool(pg_dsn: str) -> None:
    with TracedNullConnectionPool(pg_dsn, max_size=1, report_to="") as pool:
        pids = []
        for _ in range(2):
            with pool.connection() as connection:
                connection.execute("SELECT 1")
                pids.append(pid(connection))
        assert 2 == len(set(pids))
        assert 2 == next(one.calls for one in pool.statements() if one.text == "SELECT $1")


def test_what_async_pools_do(pg_dsn: str) -> None:
    called: list[str] = []

    async def configure(connection: AsyncConnection[Any]) -> None:
        called.append("configure")
        await connection.set_autocommit(True)

    async def reset(connection: AsyncConnection[Any]) -> None:
        called.append("reset")

    async def run() -> None:
        async with AsyncTracedConnectionPool[MineAsync](
            pg_dsn,
            connection_class=MineAsync,
            kwargs={"row_factory": dict_row},
            min_size=1,
            open=False,
            configure=configure,
            reset=reset,
            check=AsyncTracedConnectionPool.check_connection,
            report_to="",
        ) as pool:
            await pool.wait()
            async with pool.connection() as connection:
                assert isinstance(connection, MineAsync)
                cursor = await connection.execute("SELECT 1 AS n")
                assert {"n": 1} == await cursor.fetchone()
                with pytest.raises(PoolTimeout):
                    await pool.getconn(timeout=0.05)

            async def was_reset() -> bool:
                return "reset" in called

            await wait_until_async(was_reset)
            await pool.resize(1, 2)
            await pool.drain()
            await pool.check()
            assert ["SELECT $1 AS n"] == [one.text for one in pool.statements()]
            assert 0 == pool.trace_faults
        with pytest.raises(PoolClosed):
            await pool.getconn()
        async with AsyncTracedNullConnectionPool(
            pg_dsn, max_size=1, open=False, report_to=""
        ) as null:
            async with null.connection() as other:
                await other.execute("SELECT 1")
            assert any(one.text == "SELECT $1" for one in null.statements())

    asyncio.run(run())
    assert {"configure", "reset"} == set(called)


def test_a_waiting_task_that_is_cancelled_takes_no_connection(pg_dsn: str) -> None:
    async def run() -> None:
        async with AsyncTracedConnectionPool(pg_dsn, min_size=1, open=False) as pool:
            held = await pool.getconn()
            waiting = asyncio.create_task(pool.getconn())
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            await pool.putconn(held)
            async with pool.connection(timeout=5) as connection:
                await connection.execute("SELECT 1")

    asyncio.run(run())
