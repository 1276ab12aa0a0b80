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


def test_what_fails_is_an_event_however_soon(gateway: Gateway) -> None:
    with raw_client(gateway.dsn(), application_name="shop") as raw:
        raw.ask(query("SELECT 'fine'"))
        raw.ask(query("SELECT 1 / 0"))
        raw.ask(run("SELECT 'hunter2', 1 / $1::int", "0") + SYNC)
        raw.ask(query("SELEC 4711"))
    seen = gateway.seen
    seen.next_frame()
    events = [(event.sqlstate, event.text, event.sql) for event in seen.slow]
    assert ["22012", "22012", "42601"] == [sqlstate for sqlstate, _, _ in events]
    assert {""} == {sql for _, _, sql in events}
    assert not any("hunter2" in text or "4711" in text for _, text, _ in events)
    assert all(event.backend_pid and event.application == "shop" for event in seen.slow)


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
    assert 600_000 <= slow_us
    assert fast_us < 290_000


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
        holder.ask(query("SELECT pg_sleep(0.6)"))
        holder.ask(query("COMMIT"))
        waiter.until(b"Z")
    seen = gateway.seen
    seen.next_frame()
    (slow,) = [statement for statement in seen.slow if "queue" in statement.sql]
    assert slow.queue_ms > 580
    assert 90 < slow.server_ms < 580
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
    first, second = (one for one in seen.slow if "pg_sleep" in one.sql)
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


# Routes, bytes, transfer

TRACE = "00-5bd66ef5095369c7b0d1f8f4bd33716a-{:016x}-01"


def tagged(sql: str, number: int, route: str = "%2Fcart") -> str:
    return f"{sql} /*action='show',route='{route}',traceparent='{TRACE.format(number)}'*/"


def test_statements_by_route(gateway: Gateway) -> None:
    with raw_client(gateway.dsn()) as raw:
        for number in range(4):
            raw.ask(query(tagged("SELECT upper('x')", number)))
            raw.ask(run(tagged("SELECT upper('x')", number)) + SYNC)
        raw.ask(query("SELECT upper('y') /* by hand */"))
        raw.ask(query("SELECT upper('z')"))
    seen = gateway.seen
    seen.next_frame()
    assert 1 == len({count.fingerprint for count in seen.of("upper")})
    calls = {count.route: 0 for count in seen.of("upper")}
    for count in seen.of("upper"):
        calls[count.route] += count.calls
    assert {"/cart": 8, "": 2} == calls


def test_bytes_are_those_of_the_clients_messages_and_of_the_answers(gateway: Gateway) -> None:
    sent = {
        "repeat": query("SELECT repeat('x', 10000)"),
        "length": run("SELECT length($1)", "some text") + SYNC,
        "sqrt": query("SELECT sqrt(2); SELECT 1"),
    }
    answered = {}
    with raw_client(gateway.dsn()) as raw:
        for what, messages in sent.items():
            raw.send(messages)
            answered[what] = sum(5 + len(payload) for _, payload in raw.until(b"Z"))
    gateway.seen.next_frame()
    for what, messages in sent.items():
        (count,) = gateway.seen.of(what)
        assert (len(messages), answered[what]) == (count.received, count.sent), what


def test_a_copys_bytes_are_its_own(gateway: Gateway) -> None:
    rows = copy_data(b"x" * 5000 + b"\n") * 40
    with raw_client(gateway.dsn()) as raw:
        raw.ask(query("CREATE TABLE t (x text)"))
        raw.send(query("COPY t FROM STDIN"))
        raw.until(b"G")
        raw.send(rows)
        raw.ask(COPY_DONE)
        raw.ask(query("COPY t TO STDOUT"))
    gateway.seen.next_frame()
    (into,), (out,) = gateway.seen.of("FROM"), gateway.seen.of("TO")
    assert len(rows) < into.received < len(rows) + 100
    assert len(rows) - 200 < out.sent < len(rows) + 600
    assert into.sent < 200
    assert out.received == len(query("COPY t TO STDOUT"))


def test_the_time_of_a_transfer_is_told_apart(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(trace__slow=300.0)
    rows = "SELECT repeat('x', 10000), pg_sleep(0.01) FROM generate_series(1, 40)"
    with gateway.connect() as connection:
        connection.execute(rows)  # the server sends rows as they come
        connection.execute("SELECT pg_sleep(0.4)")
    gateway.seen.next_frame()
    sending, sleeping = gateway.seen.slow
    assert sending.transfer_ms > 200
    assert sleeping.transfer_ms < 300
    for slow in (sending, sleeping):
        assert slow.duration_ms == pytest.approx(slow.queue_ms + slow.server_ms + slow.transfer_ms)
    assert sending.sent > 400_000


# Transactions


def totals(gateway: Gateway) -> tuple[int, int, int]:
    """Transactions, those that failed, and the statements in them."""
    gateway.seen.next_frame()
    found = list(gateway.seen.transactions)
    return (
        sum(t.count for t in found), sum(t.failed for t in found), sum(t.statements for t in found),
    )  # fmt: skip


CASES = [
    ([query("BEGIN"), query("SELECT 1"), query("COMMIT")], 1, (1, 0, 1)),
    ([query("BEGIN"), query("SELECT 1"), query("ROLLBACK")], 1, (1, 1, 1)),
    ([query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("COMMIT")], 1, (1, 1, 2)),
    ([query("BEGIN; SELECT 1; COMMIT")], 1, (1, 0, 0)),
    ([query("BEGIN; SELECT 1"), query("SELECT 2; END; BEGIN"), query("COMMIT")], 1, (2, 0, 0)),
    ([run("BEGIN") + run("SELECT 1") + run("COMMIT") + SYNC], 1, (1, 0, 1)),
    ([(run("BEGIN") + SYNC + run("SELECT 1") + SYNC + run("COMMIT") + SYNC)], 3, (1, 0, 1)),
    ([run("BEGIN") + SYNC, run("SELECT 1/0") + SYNC, run("ROLLBACK") + SYNC], 1, (1, 1, 1)),
    ([query("BEGIN"), query("SELECT 1"), query("COMMIT AND CHAIN"), query("END")], 1,
     (2, 0, 1)),
    ([query("BEGIN"), query("SAVEPOINT a"), query("SELECT 1/0"), query("ROLLBACK TO a"),
      query("SELECT 1"), query("COMMIT")], 1, (1, 0, 4)),
    ([query("BEGIN"), query("BEGIN"), query("COMMIT"), query("COMMIT")], 1, (1, 0, 1)),
    ([query("CREATE TABLE d (x int UNIQUE DEFERRABLE INITIALLY DEFERRED)"), query("BEGIN"),
      query("INSERT INTO d VALUES (1), (1)"), query("COMMIT")], 1, (1, 1, 2)),  # its COMMIT failed
    ([query("SELECT 1"), query("COMMIT")], 1, (0, 0, 0)),
    ([query("BEGIN"), query("SELECT 1")], 1, (1, 1, 1)),  # and it leaves
]  # fmt: skip
"""Messages, how many answers each has, and the transactions, those that failed, statements."""


def test_transactions(gateway: Gateway) -> None:
    for number, (messages, answers, _) in enumerate(CASES):
        with raw_client(gateway.dsn(), application_name=f"case {number}") as raw:
            for message in messages:
                raw.ask(message, answers)
    wait_until(lambda: gateway.seen.snapshots[0].clients == 0)
    gateway.seen.next_frame()
    found = [(0, 0, 0)] * len(CASES)
    for seen in gateway.seen.transactions:
        number = int(seen.application.split()[1])
        count, failed, statements = found[number]
        found[number] = (
            count + seen.count, failed + seen.failed, statements + seen.statements,
        )  # fmt: skip
    assert [expected for _, _, expected in CASES] == found


def test_transactions_of_a_session(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__mode="session")
    with gateway.connect(application_name="shop") as connection:
        for _ in range(3):
            with connection.transaction():
                connection.execute("SELECT 1")
    assert (3, 0, 3) == totals(gateway)
    assert {"shop"} == {found.application for found in gateway.seen.transactions}


def test_a_transaction_whose_server_is_lost_has_failed(gateway: Gateway) -> None:
    with raw_client(gateway.dsn()) as raw, gateway.connect() as other:
        raw.ask(query("BEGIN"))
        (pid,) = [p for k, p in raw.ask(query("SELECT pg_backend_pid()")) if k == b"D"]
        other.execute("SELECT pg_terminate_backend(%s)", [int(pid[6:])])
        wait_until(lambda: totals(gateway) == (1, 1, 1))


def test_idle_time_and_what_repeats(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(trace__n_plus_one=5)
    with gateway.connect() as connection, connection.transaction():
        for number in range(6):
            connection.execute(tagged(f"SELECT sqrt({number})", number))
        connection.execute("SELECT pg_sleep(0.2)")
        gateway.seen.next_frame()  # it idles for two reports
    totals(gateway)
    (found,) = gateway.seen.transactions
    assert ("/cart", 7) == (found.route, found.statements)
    assert 200_000 < found.total_us
    assert 20_000 < found.max_idle_us <= found.idle_us < found.total_us - 190_000
    (again,) = gateway.seen.repeated
    assert ("/cart", 1, 6, 6) == (again.route, again.transactions, again.calls, again.most)
    assert {again.fingerprint} == {count.fingerprint for count in gateway.seen.of("sqrt")}


# Single statements


def test_a_slow_statements_tags(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(trace__slow=50.0)
    secret = "SELECT pg_sleep(0.1) /*card='4711',route='a',framework='f'*/"
    with raw_client(gateway.dsn()) as raw:
        raw.ask(query(secret))
        raw.ask(run(tagged("SELECT pg_sleep(0.1)", 7)) + SYNC)
    gateway.seen.next_frame()
    first, second = gateway.seen.slow
    assert ("a", {"route": "a", "framework": "f"}) == (first.route, first.tags)
    assert ("/cart", TRACE.format(7)) == (second.route, second.traceparent)
    assert (len(query(secret)), 0.0) == (first.received, first.transfer_ms)
    assert first.sent > 50


def test_spans_where_they_are_asked_for(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(otel__enabled=True)
    with raw_client(gateway.dsn()) as raw:
        for number in range(3):
            raw.ask(query(tagged("SELECT 'hunter2'", number)))
        raw.ask(run(tagged("SELECT 1 / $1::int", 3), "0") + SYNC)
        raw.ask(query(tagged("SELECT 1", 4).replace("-01'", "-00'")))
        raw.ask(query("SELECT 1"))
    seen = gateway.seen
    seen.next_frame()
    assert [TRACE.format(n) for n in range(4)] == [span.traceparent for span in seen.spans]
    assert ["", "", "", "22012"] == [span.sqlstate for span in seen.spans]
    assert "hunter2" not in str(seen.spans)
    gateway.reload(**{"otel.enabled": False})
    before = len(seen.spans)

    def off() -> bool:
        asked = len(seen.spans)
        with raw_client(gateway.dsn()) as raw:
            raw.ask(query(tagged("SELECT 1", 5)))
        seen.next_frame()
        return len(seen.spans) == asked

    wait_until(off)
    assert before <= len(seen.spans)
