"""What the gateway does when a server, a client or a worker fails."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors

from dbopt.demo.cluster import EmbeddedCluster
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    COPY_DONE,
    connected,
    copy_data,
    fields,
    query,
    raw_client,
    rows,
    shape,
    sqlstates,
    wait_closed,
)
from tests.support import unused_port, wait_until

Connection = psycopg.Connection[Any]
SLEEP = "SELECT pg_sleep(60)"
OTHERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    "AND pid <> pg_backend_pid() AND "
)


def pids(pg_conn: Connection, condition: str = "true") -> list[int]:
    return [row[0] for row in pg_conn.execute(OTHERS + condition).fetchall()]


def sleeping(pg_conn: Connection) -> list[int]:
    return pids(pg_conn, "state = 'active' AND query LIKE '%pg_sleep(60)%'")


def kill(pg_conn: Connection, pid: int) -> None:
    pg_conn.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def backend_pid(connection: Connection) -> int:
    row = connection.execute("SELECT pg_backend_pid()").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.parametrize("extended", [False, True])
def test_a_backend_killed_in_a_query(gateway: Gateway, pg_conn: Connection, extended: bool) -> None:
    with gateway.connect() as connection:

        def end() -> None:
            (pid,) = wait_until(lambda: sleeping(admin))
            kill(admin, pid)

        with psycopg.connect(pg_conn.info.dsn, autocommit=True) as admin:
            thread = threading.Thread(target=end)
            thread.start()
            with pytest.raises(errors.AdminShutdown) as caught:
                connection.execute(SLEEP, prepare=True) if extended else connection.execute(SLEEP)
            thread.join()
        assert "ERROR" == caught.value.diag.severity_nonlocalized
        assert (1,) == connection.execute("SELECT 1").fetchone()
    gateway.seen.next_frame()
    assert {"57P01": 1} == gateway.seen.errors("pg_sleep")


def test_a_backend_killed_in_a_transaction(gateway: Gateway, pg_conn: Connection) -> None:
    with raw_client(gateway.dsn()) as raw:
        found = raw.ask(query("BEGIN") + query("SELECT pg_backend_pid()"), 2)
        ((pid,),) = rows(found)
        assert pid is not None
        kill(pg_conn, int(pid))
        told = raw.rest()
        assert "E" == shape(told)
        assert ("FATAL", "57P01") == (fields(told[0])["S"], fields(told[0])["C"])


def test_a_backend_killed_while_nobody_has_it(gateway: Gateway, pg_conn: Connection) -> None:
    with gateway.connect() as connection:
        for _ in range(5):
            kill(pg_conn, backend_pid(connection))
            assert (1,) == connection.execute("SELECT 1").fetchone()


def test_a_backend_killed_in_a_copy(gateway: Gateway, pg_conn: Connection) -> None:
    pg_conn.execute("CREATE TABLE t (x text)")
    with raw_client(gateway.dsn()) as raw:
        raw.send(query("COPY t FROM STDIN"))
        assert "G" == shape(raw.until(b"G"))
        raw.send(copy_data(b"one\n"))
        (pid,) = wait_until(lambda: pids(pg_conn, "query LIKE 'COPY t%' AND state = 'active'"))
        kill(pg_conn, pid)
        found = raw.until(b"Z")
        assert ["57P01"] == sqlstates(found)


def test_the_server_restarts(
    make_gateway: GatewayFactory, pg_server: EmbeddedCluster, pg_dsn: str
) -> None:
    gateway = make_gateway()
    with gateway.connect() as one, gateway.connect(application_name="two") as two:
        for immediate in (False, True):
            assert (1,) == one.execute("SELECT 1", prepare=True).fetchone()
            pg_server.restart(immediate=immediate)
            for connection in (one, two):
                assert (2,) == wait_until(lambda c=connection: _try(c, "SELECT 2"), 20)
        assert ("two",) == two.execute("SHOW application_name").fetchone()
        assert (1,) == one.execute("SELECT 1", prepare=True).fetchone()


def _try(connection: Connection, sql: str) -> Any:
    try:
        return connection.execute(sql).fetchone()
    except (errors.OperationalError, errors.ConnectionException):
        assert not connection.closed
        return None


def test_a_server_that_cannot_be_reached(make_gateway: GatewayFactory) -> None:
    with unused_port() as port:
        gateway = make_gateway(f"host=127.0.0.1 port={port} dbname=shop user=ann")
        with connected(gateway.host, gateway.port) as raw:  # which waits for 10 s at most
            (message,) = raw.login(user="ann", database="shop")[-1:]
    found = fields(message)
    assert ("FATAL", "08001") == (found["S"], found["C"])
    assert f"127.0.0.1:{port}" in found["M"]


def test_a_client_that_vanishes_in_a_transaction(gateway: Gateway, pg_conn: Connection) -> None:
    pg_conn.execute("CREATE TABLE t (x int)")
    with raw_client(gateway.dsn()) as raw:
        raw.ask(query("BEGIN; INSERT INTO t VALUES (1)"))
        assert 1 == len(pids(pg_conn, "state = 'idle in transaction'"))
    wait_until(lambda: not pids(pg_conn, "state LIKE 'idle in%'"))
    assert (0,) == pg_conn.execute("SELECT count(*) FROM t").fetchone()
    with gateway.connect() as connection:
        assert (0,) == connection.execute("SELECT count(*) FROM t").fetchone()


def test_a_client_that_vanishes_in_a_query(gateway: Gateway, pg_conn: Connection) -> None:
    with raw_client(gateway.dsn()) as raw:
        raw.send(query(SLEEP))
        wait_until(lambda: sleeping(pg_conn))
    wait_until(lambda: not sleeping(pg_conn), what="the query's end")
    assert 0 == gateway.pool.cl_active


def test_a_client_that_vanishes_with_a_cold_pool(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    gateway = make_gateway(pool__max_size=1)
    with raw_client(gateway.dsn()) as holder:
        holder.ask(query("BEGIN"))
        with raw_client(gateway.dsn()) as raw:
            raw.send(query("CREATE TABLE never (x int)"))
            wait_until(lambda: gateway.pool.cl_waiting == 1)
        wait_until(lambda: gateway.pool.cl_waiting == 0)
        assert "CZ" == shape(holder.ask(query("COMMIT")))
    assert (None,) == pg_conn.execute("SELECT to_regclass('never')").fetchone()


def test_terminate_lets_the_statement_end(gateway: Gateway, pg_conn: Connection) -> None:
    pg_conn.execute("CREATE TABLE t (x int)")
    with raw_client(gateway.dsn()) as raw:
        raw.send(query("SELECT pg_sleep(0.3); INSERT INTO t VALUES (1)") + b"X\0\0\0\4")
        wait_closed(raw)
    wait_until(lambda: pg_conn.execute("SELECT count(*) FROM t").fetchone() == (1,))


def test_drain_lets_transactions_end(make_gateway: GatewayFactory, pg_conn: Connection) -> None:
    pg_conn.execute("CREATE TABLE t (x int)")
    gateway = make_gateway(gateway__shutdown_timeout=10.0)
    with raw_client(gateway.dsn()) as busy, raw_client(gateway.dsn()) as idle:
        busy.ask(query("BEGIN"))
        drained = gateway.start_drain()
        assert ["57P01"] == sqlstates(idle.rest())
        with pytest.raises(OSError, match=r"refused|reset"):
            socket.create_connection((gateway.host, gateway.port), 5).close()
        assert "CZ" == shape(busy.ask(query("INSERT INTO t VALUES (1)")))
        assert "CZ" == shape(busy.ask(query("COMMIT")))
        assert ["57P01"] == sqlstates(busy.rest())
        drained.result(10)
    assert (1,) == pg_conn.execute("SELECT count(*) FROM t").fetchone()
    wait_until(lambda: not pids(pg_conn), what="no backend left")


def test_drain_cuts_who_takes_too_long(make_gateway: GatewayFactory, pg_conn: Connection) -> None:
    gateway = make_gateway(gateway__shutdown_timeout=0.2)
    with raw_client(gateway.dsn()) as busy:
        busy.send(query(SLEEP))
        wait_until(lambda: sleeping(pg_conn))
        gateway.start_drain().result(10)
        assert ["57P01"] == sqlstates(busy.rest())
    wait_until(lambda: not sleeping(pg_conn), what="the query's end")


def test_a_worker_that_is_killed(make_gateway: GatewayFactory, pg_conn: Connection) -> None:
    gateway = make_gateway()
    (first,) = gateway.pids
    with raw_client(gateway.dsn()) as raw:
        raw.ask(query("BEGIN"))
        os.kill(first, signal.SIGKILL)
        wait_closed(raw)
    wait_until(lambda: gateway.pids not in ([], [first]), what="another worker")
    with gateway.connect() as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    assert 1 == gateway.supervisor.restarts
    wait_until(lambda: not pids(pg_conn, "state LIKE 'idle in%'"))


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def test_a_client_that_does_not_read(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=2)
    (worker,) = gateway.pids
    big = "SELECT repeat('x', 100000) FROM generate_series(1, 2000)"  # 200 MB
    with gateway.connect() as other, raw_client(gateway.dsn()) as slow:
        other.execute("SELECT 1")
        before = rss_mb(worker)
        slow.send(query(big))
        wait_until(lambda: slow.socket.recv(1, socket.MSG_PEEK))
        started = time.monotonic()
        for _ in range(100):
            other.execute("SELECT 1")
        assert time.monotonic() - started < 10.0
        gateway.seen.next_frame()
        assert rss_mb(worker) - before < 30
        size = 0
        while size < 200_000_000:
            size += len(slow.socket.recv(1 << 20))
        assert rss_mb(worker) - before < 30


def test_a_server_that_does_not_read(make_gateway: GatewayFactory, pg_conn: Connection) -> None:
    """A COPY whose data the server does not take: the client waits, memory stays."""
    pg_conn.execute("CREATE TABLE t (x text)")
    gateway = make_gateway(pool__max_size=2)
    (worker,) = gateway.pids
    chunk = copy_data((b"y" * 99_999) + b"\n")
    with raw_client(gateway.dsn()) as raw, psycopg.connect(pg_conn.info.dsn) as locker:
        locker.execute("LOCK t")
        raw.ask(query("SELECT 1"))
        before = rss_mb(worker)
        raw.socket.settimeout(1.0)
        raw.send(query("COPY t FROM STDIN"))
        sent = 0
        with pytest.raises(TimeoutError):  # noqa: PT012 - the last of many sends
            while sent < 200_000_000:
                sent += raw.socket.send(chunk[sent % len(chunk) :])
        assert sent < 50_000_000
        assert rss_mb(worker) - before < 30
        locker.rollback()
        raw.socket.settimeout(20.0)
        raw.send(chunk[sent % len(chunk) :] + COPY_DONE)
        assert [] == sqlstates(raw.until(b"Z"))
    assert (sent // len(chunk) + 1,) == pg_conn.execute("SELECT count(*) FROM t").fetchone()


def test_a_copy_that_fails_while_its_client_is_paused(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    """The server takes none of the data: nobody is left to tell the client to go on."""
    pg_conn.execute("CREATE TABLE t (x text)")
    gateway = make_gateway()
    chunk = copy_data(b"y" * 99_999 + b"\n")
    with raw_client(gateway.dsn()) as raw, psycopg.connect(pg_conn.info.dsn) as locker:
        locker.execute("LOCK t")
        raw.socket.settimeout(1.0)
        raw.send(query("COPY t FROM STDIN"))
        sent = 0
        with pytest.raises(TimeoutError):  # noqa: PT012 - the last of many sends
            while True:
                sent += raw.socket.send(chunk[sent % len(chunk) :])
        (pid,) = wait_until(lambda: pids(pg_conn, "wait_event_type = 'Lock'"))
        pg_conn.execute("SELECT pg_cancel_backend(%s)", (pid,))
        raw.socket.settimeout(10.0)
        assert ["57014"] == sqlstates(raw.until(b"Z"))
        raw.send(chunk[sent % len(chunk) :] + chunk * 100 + COPY_DONE)
        assert [(b"1",)] == rows(raw.ask(query("SELECT 1")))


def test_backends_are_recycled(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_lifetime=1.0, pool__max_size=1)
    with gateway.connect() as connection:
        first = backend_pid(connection)
        wait_until(lambda: backend_pid(connection) != first, what="another backend")


def test_backends_that_idle_are_closed(make_gateway: GatewayFactory, pg_conn: Connection) -> None:
    gateway = make_gateway(pool__max_idle=0.5, pool__min_size=0)
    with gateway.connect() as connection:
        connection.execute("SELECT 1")
        wait_until(lambda: not pids(pg_conn), what="the backend's end")
        assert (1,) == connection.execute("SELECT 1").fetchone()
