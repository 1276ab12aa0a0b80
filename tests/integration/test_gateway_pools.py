"""Policies of pools, with a real server: reserve, limits, weights, the queue, reload."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.observation import PoolSnapshot
from dbopt.settings import Application, Database
from dbopt.wire import encode
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    Raw,
    connected,
    fields,
    query,
    raw_client,
    rows,
    sqlstates,
)
from tests.support import wait_until

Connection = psycopg.Connection[Any]


def pools(gateway: Gateway) -> dict[tuple[str, str], PoolSnapshot]:
    gateway.seen.next_frame()
    return {(pool.database, pool.user): pool for pool in gateway.seen.snapshots[0].pools}


def pid_of(raw: Raw) -> bytes | None:
    return rows(raw.ask(query("SELECT pg_backend_pid()")))[0][0]


@pytest.mark.parametrize("heavy", [1.0, 3.0])
def test_applications_share_backends_by_weight(make_gateway: GatewayFactory, heavy: float) -> None:
    gateway = make_gateway(pool__max_size=1, applications={"few": Application(heavy)})
    served: Counter[str] = Counter()
    stop = threading.Event()

    def work(name: str) -> None:
        with gateway.connect(application_name=name) as connection:
            while not stop.is_set():
                connection.execute("SELECT pg_sleep(0.005)")
                served[name] += 1

    names = ["many"] * 9 + ["few"] * 3
    threads = [threading.Thread(target=work, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    wait_until(lambda: served["many"] > 10, what="the first transactions")
    served.clear()
    wait_until(lambda: sum(served.values()) >= 200, what="200 transactions")
    stop.set()
    for thread in threads:
        thread.join()
    assert pytest.approx(heavy / (heavy + 1), abs=0.1) == served["few"] / served.total()


def test_the_reserve(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=1, pool__reserve_size=1, pool__reserve_timeout=0.5)
    with raw_client(gateway.dsn()) as holder, raw_client(gateway.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        started = time.monotonic()
        waiter.ask(query("BEGIN"))
        assert 0.4 < time.monotonic() - started
        pool = gateway.pool
        assert (2, 1, 1) == (pool.sv_active, pool.sv_reserve, pool.max_size)
        waiter.ask(query("COMMIT"))
        wait_until(lambda: gateway.pool.sv_reserve == 0, what="the reserve's end")
        assert (1, 0) == (gateway.pool.sv_active, gateway.pool.sv_idle)
        holder.ask(query("COMMIT"))


def test_max_queue(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=1, pool__max_queue=1)
    with ExitStack() as stack:
        holder, queued, late = (stack.enter_context(raw_client(gateway.dsn())) for _ in range(3))
        holder.ask(query("BEGIN"))
        queued.send(query("SELECT 1"))
        wait_until(lambda: gateway.pool.cl_waiting == 1, what="one in the queue")
        found = late.ask(query("SELECT 'secret'"))
        assert ["53300"] == sqlstates(found)
        assert "max_queue is 1" in fields(found[0])["M"]
        assert "secret" not in fields(found[0])["M"]
        holder.ask(query("COMMIT"))
        queued.until(b"Z")
        assert [(b"2",)] == rows(late.ask(query("SELECT 2")))
    assert (1, 0) == (gateway.pool.queue_refusals, gateway.pool.queue_timeouts)


@pytest.mark.parametrize("login", [True, False], ids=["login", "statement"])
def test_who_waits_is_told_that_it_is_queued(make_gateway: GatewayFactory, login: bool) -> None:
    gateway = make_gateway(pool__max_size=1, pool__queue_notice=0.3)
    with ExitStack() as stack:
        holder, waiter = (stack.enter_context(raw_client(gateway.dsn())) for _ in range(2))
        holder.ask(query("BEGIN"))
        if login:  # with a setting whose effect the server has to tell
            waiter = stack.enter_context(connected(gateway.host, gateway.port))
            parts = conninfo_to_dict(gateway.dsn())
            names = {
                name: str(parts[key]) for name, key in (("user", "user"), ("database", "dbname"))
            }
            waiter.send(encode.startup(names | {"options": "-c work_mem=1MB"}))
        else:
            waiter.send(query("SELECT 1"))
        (notice,) = [message for message in waiter.until(b"N") if message[0] == b"N"]
        said = fields(notice)
        assert ("NOTICE", "00000") == (said["S"], said["C"])
        assert "ueued" in said["M"]
        holder.ask(query("COMMIT"))
        found = waiter.until(b"Z")
        assert (b"Z", b"I") == found[-1]
        assert [] == [message for message in found if message[0] in b"NE"]


def test_a_database_at_its_limit_evicts_what_another_user_does_not_use(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    name = pg_conn.info.dbname
    pg_conn.execute("CREATE ROLE evictor LOGIN")
    try:
        gateway = make_gateway(
            pool__max_size=3, pool__max_idle=600.0, databases={name: Database(max_db_connections=2)}
        )
        with ExitStack() as stack:
            mine = [stack.enter_context(raw_client(gateway.dsn())) for _ in range(2)]
            for raw in mine:
                raw.ask(query("BEGIN"))
            started: list[float] = []
            thread = threading.Thread(target=lambda: started.append(_log_in(gateway, "evictor")))
            thread.start()
            wait_until(
                lambda: any(p.cl_waiting for (_, u), p in pools(gateway).items() if u == "evictor"),
                what="the other user's wait",
            )
            freed = time.monotonic()
            mine[0].ask(query("COMMIT"))
            thread.join()
            assert started[0] - freed < 60.0, "long before pool.max_idle"
            count = (
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            wait_until(lambda: pg_conn.execute(count).fetchone() == (2,), what="two backends")
            mine[1].ask(query("COMMIT"))
    finally:
        pg_conn.execute("DROP ROLE evictor")


def _log_in(gateway: Gateway, user: str) -> float:
    with gateway.connect(user=user) as connection:
        connection.execute("SELECT 1")
        return time.monotonic()


def test_reload_keeps_connections_whose_settings_did_not_change(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    name = pg_conn.info.dbname
    gateway = make_gateway(pool__max_size=2)
    with raw_client(gateway.dsn()) as first, raw_client(gateway.dsn()) as second:
        before = pid_of(first)
        first.ask(query("BEGIN"))
        gateway.reload(databases={name: Database(max_size=1, queue_notice=1.0)})
        wait_until(lambda: gateway.pool.max_size == 1, what="the reload")
        assert before == pid_of(first)
        first.ask(query("COMMIT"))
        assert before == pid_of(second)
        gateway.reload(databases={name: Database(max_size=2, connect_query="SET my.mark = 'on'")})
        wait_until(lambda: gateway.pool.max_size == 2, what="the second reload")
        assert before != pid_of(second)
        assert [(b"on",)] == rows(first.ask(query("SHOW my.mark")))


@pytest.mark.parametrize("before", ["transaction", "session", "statement"])
def test_another_mode_is_for_who_comes_next(
    make_gateway: GatewayFactory, pg_conn: Connection, before: str
) -> None:
    after = "transaction" if before == "statement" else "statement"
    name = pg_conn.info.dbname
    gateway = make_gateway(pool__mode=before)
    with raw_client(gateway.dsn()) as old:
        gateway.reload(databases={name: Database(mode=after)})
        wait_until(lambda: gateway.pool.mode == after, what="the reload")
        with raw_client(gateway.dsn()) as new:
            for raw, mode in ((old, before), (new, after)):
                raw.send(query("BEGIN"))
                if mode == "statement":
                    assert ["0A000"] == sqlstates(raw.rest())
                else:
                    assert [] == sqlstates(raw.until(b"Z"))
                    assert [(b"1",)] == rows(raw.ask(query("SELECT 1")))
                    raw.ask(query("COMMIT"))


def test_the_database_of_who_is_here_is_taken_away(
    make_gateway: GatewayFactory, pg_conn: Connection
) -> None:
    gateway = make_gateway(pool__max_size=1)
    with raw_client(gateway.dsn()) as holder, raw_client(gateway.dsn()) as queued:
        holder.ask(query("BEGIN"))
        queued.send(query("SELECT 7"))
        wait_until(lambda: gateway.pool.cl_waiting == 1, what="the queue")
        gateway.reload(databases={"another": Database()})

        def refused() -> bool:
            with connected(gateway.host, gateway.port) as raw:
                greeting = raw.login(user=str(pg_conn.info.user), database=pg_conn.info.dbname)
                return sqlstates(greeting) == ["3D000"]

        wait_until(refused, what="the reload")
        assert [(b"1",)] == rows(holder.ask(query("SELECT 1")))
        holder.ask(query("COMMIT"))
        assert [(b"7",)] == rows(queued.until(b"Z"))
        assert [(b"8",)] == rows(holder.ask(query("SELECT 8")))
