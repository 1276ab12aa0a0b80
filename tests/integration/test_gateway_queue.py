"""Waiting for a backend: order, limits, time, and cancel requests."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import threading
import time
from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    COPY_DONE,
    SYNC,
    Raw,
    cancel,
    copy_data,
    fields,
    query,
    raw_client,
    rows,
    run,
    shape,
    sqlstates,
)
from tests.support import wait_until

Connection = psycopg.Connection[Any]
SLEEP = "SELECT pg_sleep(60)"


@pytest.fixture
def one_backend(make_gateway: GatewayFactory) -> Gateway:
    return make_gateway(pool__max_size=1)


def running(pg_conn: Connection) -> bool:
    sql = (
        "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND pid <> pg_backend_pid() "
        "AND query LIKE 'SELECT pg_sleep(60)%' AND datname = current_database()"
    )
    return pg_conn.execute(sql).fetchone() is not None


def wait_queued(gateway: Gateway, count: int) -> None:
    wait_until(lambda: gateway.pool.cl_waiting == count, what=f"{count} in the queue")


@pytest.mark.parametrize("batch", [query(SLEEP), run(SLEEP) + SYNC])
def test_cancel_what_runs(one_backend: Gateway, pg_conn: Connection, batch: bytes) -> None:
    with raw_client(one_backend.dsn(), application_name="x") as raw:
        raw.send(batch)
        wait_until(lambda: running(pg_conn))
        cancel(one_backend.host, one_backend.port, raw)
        assert ["57014"] == sqlstates(raw.until(b"Z"))
        assert [(b"1",)] == rows(raw.ask(query("SELECT 1")))


def test_cancel_before_the_sync(one_backend: Gateway, pg_conn: Connection) -> None:
    with raw_client(one_backend.dsn()) as raw:
        raw.send(run(SLEEP) + b"H\0\0\0\4")
        wait_until(lambda: running(pg_conn))
        cancel(one_backend.host, one_backend.port, raw)
        assert ["57014"] == sqlstates(raw.until(b"E"))
        assert "Z" == shape(raw.ask(SYNC))


def test_cancel_what_is_queued(one_backend: Gateway, pg_conn: Connection) -> None:
    with raw_client(one_backend.dsn()) as holder, raw_client(one_backend.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        waiter.send(query("CREATE TABLE never (x int)"))
        wait_queued(one_backend, 1)
        cancel(one_backend.host, one_backend.port, waiter)
        assert ["57014"] == sqlstates(waiter.until(b"Z"))
        holder.ask(query("COMMIT"))
        assert [(b"1",)] == rows(waiter.ask(query("SELECT 1")))
    assert (None,) == pg_conn.execute("SELECT to_regclass('never')").fetchone()


@pytest.mark.parametrize("late", [False, True], ids=["all at once", "its end is late"])
def test_cancel_a_copy_that_is_queued_with_its_data(one_backend: Gateway, late: bool) -> None:
    """As asyncpg does: it sends the data, their end and the cancel before it hears of the COPY."""
    with raw_client(one_backend.dsn()) as holder, raw_client(one_backend.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        waiter.send(query("COPY t FROM STDIN") + copy_data(b"1\n") + (b"" if late else COPY_DONE))
        wait_queued(one_backend, 1)
        cancel(one_backend.host, one_backend.port, waiter)
        assert ["57014"] == sqlstates(waiter.until(b"Z"))
        holder.ask(query("COMMIT"))
        if late:
            waiter.send(COPY_DONE)
        assert [(b"1",)] == rows(waiter.ask(query("SELECT 1")))


def test_cancel_while_idle_or_with_a_wrong_key(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    gateway = make_gateway(pool__max_size=2)
    with raw_client(gateway.dsn()) as idle, raw_client(gateway.dsn()) as busy:
        idle.ask(query("SELECT 1"))
        busy.send(query("SELECT pg_sleep(0.5)"))
        stranger = Raw(busy.socket)
        stranger.pid, stranger.secret = busy.pid, secrets.token_bytes(4)
        for raw in (idle, stranger, idle):
            cancel(gateway.host, gateway.port, raw)
        assert [] == sqlstates(busy.until(b"Z"))
        assert [(b"2",)] == rows(idle.ask(query("SELECT 2")))


def test_a_late_cancel_hits_nobody_else(one_backend: Gateway) -> None:
    """A cancel that comes as its statement ends must not reach the next client's."""
    stop = threading.Event()
    failures: list[str] = []

    def other() -> None:
        with one_backend.connect(application_name="other") as connection:
            while not stop.is_set():
                try:
                    connection.execute("SELECT pg_sleep(0.001)")
                except psycopg.Error as error:
                    failures.append(repr(error))

    threads = [threading.Thread(target=other) for _ in range(3)]
    for thread in threads:
        thread.start()
    with one_backend.connect(application_name="cancels") as connection:
        deadline = time.monotonic() + 2.0
        while time.monotonic() < deadline:
            timer = threading.Timer(0.002, connection.cancel)
            timer.start()
            with contextlib.suppress(errors.QueryCanceled):
                connection.execute("SELECT pg_sleep(0.002)")
            timer.join()
    stop.set()
    for thread in threads:
        thread.join()
    assert [] == failures


@pytest.mark.parametrize("extended", [False, True])
def test_the_queue_has_a_timeout(make_gateway: GatewayFactory, extended: bool) -> None:
    gateway = make_gateway(pool__max_size=1, gateway__queue_timeout=0.3)
    with raw_client(gateway.dsn()) as holder, raw_client(gateway.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        started = time.monotonic()
        found = waiter.ask(run("SELECT 'secret'") + SYNC if extended else query("SELECT 'secret'"))
        assert 0.2 < time.monotonic() - started
        assert ["53300"] == sqlstates(found)
        assert "EZ" == shape(found)
        assert "secret" not in fields(found[0])["M"]
        assert "max_size" in fields(found[0])["H"]
        holder.ask(query("COMMIT"))
        assert [(b"1",)] == rows(waiter.ask(query("SELECT 1")))
    assert 1 == gateway.pool.queue_timeouts


def test_a_pipeline_that_waits_too_long_is_closed(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=1, gateway__queue_timeout=0.3)
    with raw_client(gateway.dsn()) as holder, raw_client(gateway.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        waiter.send(query("SELECT 1") + query("SELECT 2"))
        assert ["53300"] == sqlstates(waiter.rest())


def test_the_queue_is_in_order(one_backend: Gateway, pg_conn: Connection) -> None:
    pg_conn.execute("CREATE TABLE turns (id serial, who text)")
    with raw_client(one_backend.dsn()) as holder:
        holder.ask(query("BEGIN"))
        clients = [raw_client(one_backend.dsn()) for _ in range(8)]
        raws = [client.__enter__() for client in clients]
        try:
            for number, raw in enumerate(raws):
                raw.send(query(f"INSERT INTO turns (who) VALUES ('{number}')"))
                wait_queued(one_backend, number + 1)
            holder.ask(query("COMMIT"))
            for raw in raws:
                assert "CZ" == shape(raw.until(b"Z"))
        finally:
            for client in clients:
                client.__exit__(None, None, None)
    order = pg_conn.execute("SELECT who FROM turns ORDER BY id").fetchall()
    assert [(str(number),) for number in range(8)] == order


def test_a_long_request_waits_whole(one_backend: Gateway) -> None:
    text = "x" * 5_000_000
    with raw_client(one_backend.dsn()) as holder, raw_client(one_backend.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        thread = threading.Thread(target=waiter.send, args=(run("SELECT length($1)", text) + SYNC,))
        thread.start()
        wait_queued(one_backend, 1)
        holder.ask(query("COMMIT"))
        assert [(b"5000000",)] == rows(waiter.until(b"Z"))
        thread.join()


def test_max_clients(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(gateway__max_clients=2)
    refused = pytest.raises(psycopg.OperationalError, match="already has 2 clients")
    with gateway.connect(), gateway.connect(), refused:
        gateway.connect()
    wait_until(lambda: gateway.pool and gateway.seen.snapshots[0].clients == 0)
    with gateway.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_workers_share_the_port_and_cancel_for_each_other(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    gateway = make_gateway(gateway__workers=2, pool__max_size=2)
    for _ in range(6):
        with raw_client(gateway.dsn()) as raw:
            raw.send(query(SLEEP))
            wait_until(lambda: running(pg_conn))
            for _ in range(4):  # the request may come to either worker
                cancel(gateway.host, gateway.port, raw)
            assert ["57014"] == sqlstates(raw.until(b"Z"))
            wait_until(lambda: not running(pg_conn))
    assert 2 == len(gateway.pids)


def test_a_cancel_that_is_over_hits_no_later_statement(one_backend: Gateway) -> None:
    with raw_client(one_backend.dsn()) as raw:
        raw.ask(query("BEGIN"))
        for _ in range(30):
            raw.send(query("SAVEPOINT s; SELECT pg_sleep(0.003)"))
            cancel(one_backend.host, one_backend.port, raw)
            raw.until(b"Z")
            found = raw.ask(query("ROLLBACK; BEGIN; SELECT pg_sleep(0.01)"))
            assert [] == sqlstates(found)


def test_four_hundred_clients_log_in_at_once(make_gateway: GatewayFactory) -> None:
    """Each waits for the welcome that only a backend can give, and there are two."""
    gateway = make_gateway(pool__max_size=2)
    dsn = gateway.dsn(application_name="burst")

    async def one(number: int) -> int:
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            found = await (await connection.execute("SELECT %s::int", (number,))).fetchone()
            assert found is not None
            return int(found[0])

    async def all_at_once() -> list[int]:
        async with asyncio.timeout(60):
            return await asyncio.gather(*(one(number) for number in range(400)))

    assert list(range(400)) == asyncio.run(all_at_once())
    wait_until(lambda: (gateway.pool.cl_active, gateway.pool.cl_waiting) == (0, 0))
