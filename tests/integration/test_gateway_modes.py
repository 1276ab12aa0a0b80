"""Pool modes, and what becomes of session state that cannot be shared."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg
import pytest

from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    SYNC,
    Raw,
    bind,
    execute,
    fields,
    parse,
    query,
    raw_client,
    rows,
    run,
    shape,
    sqlstates,
)
from tests.support import wait_until

TEMP = "CREATE TEMP TABLE mine (x int)"
PINNING = {
    "temp": (TEMP, "DROP TABLE mine"),
    "advisory": ("SELECT pg_advisory_lock(7)", "SELECT pg_advisory_unlock(7)"),
    "hold": ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "CLOSE c"),
    "role": ("SET ROLE pg_monitor", "RESET ROLE"),
}


@contextmanager
def clients(gateway: Gateway, count: int) -> Iterator[list[Raw]]:
    with ExitStack() as stack:
        yield [stack.enter_context(raw_client(gateway.dsn())) for _ in range(count)]


def pid_of(raw: Raw) -> bytes | None:
    return rows(raw.ask(query("SELECT pg_backend_pid()")))[0][0]


@pytest.mark.parametrize("why", PINNING)
def test_a_client_is_pinned_and_counted_until_it_is_clean(
    make_gateway: GatewayFactory, why: str
) -> None:
    gateway = make_gateway(pool__max_size=2)
    make, clean = PINNING[why]
    with clients(gateway, 2) as (holder, other):
        holder.ask(query(make))
        wait_until(lambda: (1, 1) == (gateway.pool.cl_pinned, gateway.pool.pins))
        mine = pid_of(holder)
        assert all(pid_of(other) != mine for _ in range(5))
        assert mine == pid_of(holder)
        holder.ask(query(clean))
        wait_until(lambda: 0 == gateway.pool.cl_pinned)
        assert 1 == gateway.pool.pins


def test_what_the_text_suggests_and_the_server_denies_does_not_pin(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(pool__max_size=1)
    with clients(gateway, 2) as (first, second):
        first.ask(query("BEGIN; " + TEMP + "; ROLLBACK"))
        first.ask(query("CREATE TEMP TABLE t (x int) ON COMMIT DROP"))
        first.ask(query("SELECT pg_try_advisory_xact_lock(1)"))
        assert "TDCZ" == shape(second.ask(query("SELECT 1")))
        assert 0 == gateway.pool.pins


@pytest.mark.parametrize("why", PINNING)
def test_refused_in_its_place_among_the_replies(make_gateway: GatewayFactory, why: str) -> None:
    gateway = make_gateway(pool__max_size=1, pool__unshareable="refuse")
    make, _ = PINNING[why]
    with clients(gateway, 2) as (raw, other):
        found = raw.ask(query("SELECT 1") + query(make) + query("SELECT 2"), ready=3)
        assert "TDCZEZTDCZ" == shape(found)
        error = fields(next(message for message in found if message[0] == b"E"))
        assert ("0A000", True) == (error["C"], "unshareable" in error["H"])
        found = raw.ask(run("SELECT 1") + run(make) + run("SELECT 3") + SYNC + query("SELECT 4"), 2)
        assert ["0A000"] == sqlstates(found)
        assert [(b"1",), (b"4",)] == rows(found)
        raw.ask(query("BEGIN"))
        assert ["0A000"] == sqlstates(raw.ask(query(make)))
        assert ["25P02"] == sqlstates(raw.ask(query("SELECT 1")))
        raw.ask(query("ROLLBACK"))
        assert "TDCZ" == shape(other.ask(query("SELECT 1")))


def test_allowed_is_as_with_other_poolers(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=1, pool__unshareable="allow")
    with clients(gateway, 2) as (first, second):
        first.ask(query(TEMP))
        assert [] == sqlstates(second.ask(query("SELECT x FROM mine")))
        assert 0 == gateway.pool.pins


def test_a_setting_that_is_not_to_follow_pins(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=2, pool__track_settings="work_mem")
    with clients(gateway, 1) as (raw,):
        raw.ask(query("SET work_mem = '7MB'"))
        assert "TDCZ" == shape(raw.ask(query("SELECT 1")))
        assert 0 == gateway.pool.pins
        raw.ask(query("SET statement_timeout = '7s'"))
        wait_until(lambda: 1 == gateway.pool.cl_pinned)
        raw.ask(query("RESET statement_timeout"))
        wait_until(lambda: 0 == gateway.pool.cl_pinned)
        assert [(b"7MB",)] == rows(raw.ask(query("SHOW work_mem")))


def test_statement_mode_runs_each_statement_alone(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=1, pool__mode="statement")
    with clients(gateway, 2) as (first, second):
        for raw in (first, second):
            assert "TDCZ" == shape(raw.ask(query("SELECT 1")))
            assert "12DCZ" == shape(raw.ask(parse("SELECT 1") + bind() + execute() + SYNC))
        first.send(query("BEGIN"))
        found = first.rest()
        assert ("0A000", "FATAL") == (fields(found[-1])["C"], fields(found[-1])["S"])
        assert "TDCZ" == shape(second.ask(query("SELECT 1")))
        second.send(run("BEGIN") + SYNC)
        found = second.rest()
        assert "0A000" == fields(found[-1])["C"]
    with clients(gateway, 1) as (third,):
        assert "TDCZ" == shape(third.ask(query("SELECT 1")))
    wait_until(lambda: 0 == gateway.pool.cl_active)


def test_session_mode_keeps_a_backend_and_cleans_what_is_dirty(
    make_gateway: GatewayFactory,
) -> None:
    gateway = make_gateway(pool__max_size=1, pool__mode="session")
    with psycopg.connect(gateway.dsn(), autocommit=True) as session:
        session.execute(TEMP)
        session.execute("SET work_mem = '7MB'; LISTEN news; PREPARE p AS SELECT 1")
        session.execute("SELECT pg_advisory_lock(9)")
        pid = session.info.backend_pid
        mine = session.execute("SELECT pg_backend_pid()").fetchone()
        assert session.execute("SELECT pg_backend_pid()").fetchone() == mine
        assert [("news",)] == session.execute("SELECT pg_listening_channels()").fetchall()
        assert pid
    with psycopg.connect(gateway.dsn(), autocommit=True) as session:
        assert session.execute("SELECT pg_backend_pid()").fetchone() == mine
        left = session.execute(
            "SELECT current_setting('work_mem'), to_regclass('mine'),"
            " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'),"
            " (SELECT count(*) FROM pg_listening_channels())"
        ).fetchone()
        assert ("4MB", None, 0, 0) == left


def test_reset_always_sends_the_reset_query(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(
        pool__max_size=1, pool__mode="session", pool__reset="always",
        pool__reset_query="SET work_mem = '9MB'",
    )  # fmt: skip
    with clients(gateway, 1) as (raw,):
        raw.ask(query("SELECT 1"))
    with clients(gateway, 1) as (raw,):
        assert [(b"9MB",)] == rows(raw.ask(query("SHOW work_mem")))


def test_an_idle_client_is_closed(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__client_idle_timeout=0.3)
    with clients(gateway, 1) as (raw,):
        raw.ask(query("SELECT 1"))
        assert ["57P05"] == sqlstates(raw.rest())
    wait_until(lambda: 1 == gateway.pool.client_idle_timeouts)
