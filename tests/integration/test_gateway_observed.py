"""What the gateway counts of the statements that pass, and what it lets be seen of them."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest
from psycopg import errors

from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import (
    COPY_DONE,
    SYNC,
    bind,
    copy_data,
    execute,
    parse,
    query,
    raw_client,
    run,
)
from tests.support import wait_until

Connection = psycopg.Connection[Any]


def test_simple_statements(gateway: Gateway) -> None:
    with raw_client(gateway.dsn(), application_name="shop") as raw:
        for n in range(5):
            raw.ask(query(f"SELECT g FROM generate_series(1, {n}) g"))
        raw.ask(query("SELECT 1 / 0"))
        raw.ask(query("CREATE TABLE t (x int); INSERT INTO t VALUES (1), (2)"))
    seen = gateway.seen
    seen.next_frame()
    assert (5, 10) == (seen.calls("generate_series"), seen.rows("generate_series"))
    assert {"22012": 1} == seen.errors("/")
    assert (1, 2) == (seen.calls("INSERT"), seen.rows("INSERT"))
    assert {"shop"} == {count.application for count in seen.counts}
    assert {"postgres"} == {count.user for count in seen.counts}
    assert all(count.calls == sum(count.buckets.values()) for count in seen.counts)


def test_extended_statements(gateway: Gateway) -> None:
    with raw_client(gateway.dsn()) as raw:
        series = "SELECT g FROM generate_series(1, $1::int) g"
        raw.ask(parse(series, "s") + SYNC)
        for n in ("1", "2", "3"):
            raw.ask(bind(n, name="s") + execute() + SYNC)
        raw.ask(run("INSERT INTO pg_temp.none VALUES (1)") + SYNC)  # its Parse fails
        raw.ask(run("SELECT 1 / $1::int", "0") + SYNC)
        raw.ask(run("SELECT 'a'") + run("SELECT 5 / $1::int", "0") + run("SELECT 'never'") + SYNC)
    seen = gateway.seen
    seen.next_frame()
    assert (3, 6) == (seen.calls("generate_series"), seen.rows("generate_series"))
    assert {"42P01": 1} == seen.errors("INSERT")
    assert {"22012": 2} == seen.errors("/")
    assert 6 + 1 == sum(count.calls for count in seen.counts)


def test_pipelined_statements_are_charged_one_by_one(gateway: Gateway) -> None:
    with raw_client(gateway.dsn()) as raw:
        slow, fast = "SELECT pg_sleep(0.3)", "SELECT length('x')"
        raw.ask(run(slow) + run(fast) + SYNC + run(slow) + SYNC + run(fast) + SYNC, 3)
    seen = gateway.seen
    seen.next_frame()
    assert (2, 2) == (seen.calls("pg_sleep"), seen.calls("length"))
    slow_us = sum(count.total_us for count in seen.of("pg_sleep"))
    fast_us = sum(count.total_us for count in seen.of("length"))
    assert 600_000 <= slow_us < 1_500_000
    assert fast_us < 150_000


def test_copies(gateway: Gateway) -> None:
    with raw_client(gateway.dsn()) as raw:
        raw.ask(query("CREATE TABLE t (x int)"))
        raw.ask(query("COPY t FROM STDIN") + copy_data(b"1\n2\n") + COPY_DONE)
        raw.ask(run("COPY t FROM STDIN") + SYNC + copy_data(b"3\n") + COPY_DONE + SYNC)
        raw.ask(query("COPY t TO STDOUT"))
    seen = gateway.seen
    seen.next_frame()
    assert (2, 3) == (seen.calls("FROM"), seen.rows("FROM"))
    assert (1, 3) == (seen.calls("TO"), seen.rows("TO"))


def test_time_in_the_queue_is_told_apart(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__max_size=1, trace__slow=200.0)
    with raw_client(gateway.dsn()) as holder, raw_client(gateway.dsn()) as waiter:
        holder.ask(query("BEGIN"))
        waiter.send(run("SELECT 'from the queue', pg_sleep(0.1)") + SYNC)
        wait_until(lambda: gateway.pool.cl_waiting == 1)
        holder.ask(query("SELECT pg_sleep(0.3)"))
        holder.ask(query("COMMIT"))
        waiter.until(b"Z")
    seen = gateway.seen
    seen.next_frame()
    (slow,) = [statement for statement in seen.slow if "queue" in statement.sql]
    assert slow.queue_ms > 280
    assert 90 < slow.server_ms < 280
    assert slow.duration_ms == pytest.approx(slow.queue_ms + slow.server_ms)
    (count,) = [count for count in seen.of("pg_sleep") if count.queue_us]
    assert count.queue_us == pytest.approx(slow.queue_ms * 1000)


def test_a_slow_statement(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(trace__slow=50.0)
    with gateway.connect(application_name="shop") as connection:
        pid = connection.execute("SELECT pg_backend_pid()").fetchone()
        connection.execute("SELECT 'hunter2', pg_sleep(0.1) FROM generate_series(1, 3)")
        with pytest.raises(errors.DivisionByZero):
            connection.execute("SELECT 4711 / (SELECT 0 FROM pg_sleep(0.1))")
    seen = gateway.seen
    seen.next_frame()
    first, second = seen.slow
    assert pid == (first.backend_pid,)
    assert ("shop", "postgres", 3, "") == (
        first.application, first.user, first.rows, first.sqlstate,
    )  # fmt: skip
    assert first.server_ms >= 300
    assert "22012" == second.sqlstate
    assert first.fingerprint in {count.fingerprint for count in seen.of("pg_sleep")}
    assert "hunter2" in first.sql


def test_no_literal_is_seen(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(trace__slow=0.0)
    secrets = ["hunter2", "4711", "o''neill", "dollar"]
    with raw_client(gateway.dsn()) as raw:
        for secret in secrets[:3]:
            raw.ask(query(f"SELECT '{secret}', {secret if secret.isdigit() else 1}"))
            raw.ask(run(f"SELECT '{secret}', E'{secret}'") + SYNC)
        raw.ask(query("SELECT $tag$dollar$tag$ /* 4711 */ -- hunter2"))
        raw.ask(query("SELECT 'hunter2"))
        raw.ask(query("SELECT 'hunter2' FROM nothing WHERE x = 4711"))
        raw.ask(run("SELECT $1::text", "hunter2") + SYNC)
    seen = gateway.seen
    seen.next_frame()
    assert seen.slow
    assert [] == [secret for secret in secrets if secret.strip("'") in seen.everything]
    assert "neill" not in seen.everything


def test_literals_are_kept_where_it_is_asked_for(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(trace__slow=0.0, trace__parameters=True)
    with gateway.connect() as connection:
        connection.execute("SELECT 'hunter2'")
    gateway.seen.next_frame()
    assert ["SELECT 'hunter2'"] == [statement.text for statement in gateway.seen.slow]


def test_a_changed_application_name(gateway: Gateway) -> None:
    with gateway.connect(application_name="before") as connection:
        connection.execute("SELECT 1")
        connection.execute("SET application_name = 'after'")
        connection.execute("SELECT 2")
    gateway.seen.next_frame()
    assert {"before", "after"} == {count.application for count in gateway.seen.counts}


def test_settings_can_be_reloaded(gateway: Gateway) -> None:
    gateway.reload(**{"trace.slow": 0.0})
    with gateway.connect() as connection:

        def slow() -> bool:
            connection.execute("SELECT 1")
            gateway.seen.next_frame()
            return bool(gateway.seen.slow)

        wait_until(slow)


def test_the_snapshot_adds_up(gateway: Gateway) -> None:
    with gateway.connect() as connection:
        for _ in range(5):
            connection.execute("SELECT 1")
        with connection.transaction():
            connection.execute("SELECT 2")
            assert (1, 1) == (gateway.pool.cl_active, gateway.pool.sv_active)
        pool = gateway.pool
    assert (0, 0, 6, 8) == (pool.cl_active, pool.sv_active, pool.xact_count, pool.query_count)
    assert pool.received > 100
    assert pool.sent > 100
    assert ("postgres", 4) == (pool.user, pool.max_size)
