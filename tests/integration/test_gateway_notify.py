"""LISTEN and NOTIFY of clients that share one backend."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from dbopt.wire import messages as m
from tests.fix_gateway import Gateway, GatewayFactory
from tests.integration.gateway_support import Raw, fields, query, raw_client, shape, sqlstates
from tests.support import wait_until

Heard = list[tuple[str, str]]
LISTENERS = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() "
    """AND query LIKE 'LISTEN "%' """
)


@pytest.fixture
def single(make_gateway: GatewayFactory) -> Gateway:
    """A gateway of one backend."""
    return make_gateway(pool__max_size=1)


def heard(connection: psycopg.Connection[Any], count: int, timeout: float = 10.0) -> Heard:
    """Up to `count` notifications."""
    found = connection.notifies(timeout=timeout, stop_after=count)
    return [(notify.channel, notify.payload) for notify in found]


def heard_before(connection: psycopg.Connection[Any], last: str) -> Heard:
    """The notifications up to one of the channel `last`, which is no part of them."""
    found: Heard = []
    while (last, "") not in found:
        more = heard(connection, 1)
        assert more, f"{last} did not come; {found} did"
        found += more
    return found[: found.index((last, ""))]


def channels_of(raw: Raw, count: int) -> Heard:
    """The next notifications of a raw client; nothing else may come."""
    found = [m.NotificationResponse.parse(payload) for _, payload in raw.until(b"A", count)]
    return [(one.channel.decode(), one.payload.decode()) for one in found]


def test_each_client_hears_its_own(single: Gateway) -> None:
    with single.connect() as one, single.connect() as two, single.connect() as sender:
        one.execute("LISTEN a; LISTEN b")
        two.execute("LISTEN b")
        for channel in "abcb":
            sender.execute("SELECT pg_notify(%s, 'to ' || %s)", (channel, channel))
        assert [("a", "to a"), ("b", "to b"), ("b", "to b")] == heard(one, 3)
        assert [("b", "to b")] * 2 == heard(two, 2)
        assert [("c", 1)] == one.execute("SELECT 'c', 1").fetchall()


def test_listeners_keep_nobody_waiting(single: Gateway) -> None:
    """Fifty clients listen over one backend."""
    clients = [single.connect() for _ in range(50)]
    try:
        for number, client in enumerate(clients):
            client.execute(f"LISTEN n{number % 5}")
        clients[0].execute("SELECT pg_notify('n' || n, '') FROM generate_series(0, 4) n")
        for number, client in enumerate(clients):
            assert [(f"n{number % 5}", "")] == heard(client, 1)
    finally:
        for client in clients:
            client.close()


def test_listen_of_a_transaction_counts_when_it_commits(single: Gateway) -> None:
    with single.connect() as client, single.connect() as other:
        with client.transaction():
            client.execute("LISTEN kept")
        with pytest.raises(ZeroDivisionError), client.transaction():  # noqa: PT012
            client.execute("LISTEN undone")
            raise ZeroDivisionError
        other.execute("NOTIFY undone; NOTIFY kept, '1'")
        assert [("kept", "1")] == heard(client, 1)


def test_unlisten_that_is_rolled_back(single: Gateway) -> None:
    with single.connect() as client, single.connect() as other:
        client.execute("LISTEN a")
        with pytest.raises(ZeroDivisionError), client.transaction():  # noqa: PT012
            client.execute("UNLISTEN a")
            raise ZeroDivisionError
        other.execute("NOTIFY a, 'still'")
        assert [("a", "still")] == heard(client, 1)


def test_a_failed_transaction_listens_to_nothing(single: Gateway) -> None:
    with single.connect() as client, single.connect() as other:
        client.execute("LISTEN last")
        with pytest.raises(psycopg.errors.DivisionByZero):
            client.execute("BEGIN; LISTEN a; SELECT 1/0; COMMIT")
        client.execute("ROLLBACK")
        other.execute("NOTIFY a; NOTIFY last")
        assert [] == heard_before(client, "last")


@pytest.mark.parametrize("clean", ["UNLISTEN a", "UNLISTEN *", "DISCARD ALL"])
def test_what_ends_it(single: Gateway, clean: str) -> None:
    with single.connect() as client, single.connect() as other, single.connect() as sender:
        client.execute("LISTEN a")
        other.execute("LISTEN a")
        client.execute(clean)
        client.execute("LISTEN last")
        sender.execute("NOTIFY a, 'unheard'")
        sender.execute("NOTIFY last")
        assert [] == heard_before(client, "last")
        assert [("a", "unheard")] == heard(other, 1)
        client.execute("LISTEN a")
        sender.execute("NOTIFY a, 'heard'")
        assert [("a", "heard")] == heard(client, 1)


def test_unlisten_of_one_channel_leaves_the_others(single: Gateway) -> None:
    with single.connect() as client:
        client.execute("LISTEN a; LISTEN b; UNLISTEN a")
        client.execute("NOTIFY a; NOTIFY b")
        assert [("b", "")] == heard(client, 1)


def test_one_notifies_itself(single: Gateway) -> None:
    with single.connect() as client:
        client.execute("LISTEN a")
        client.execute("NOTIFY a, 'to me'")
        assert [("a", "to me")] == heard(client, 1)
        client.execute("LISTEN b; NOTIFY b, 'at once'")
        assert [("b", "at once")] == heard(client, 1)


@pytest.mark.parametrize("prepare", [None, True], ids=["unnamed", "prepared"])
def test_the_extended_protocol(single: Gateway, prepare: bool | None) -> None:
    with single.connect() as client, single.connect() as sender:
        for turn in range(3):
            client.execute("LISTEN a", prepare=prepare, binary=True)
            sender.execute("NOTIFY a")
            assert [("a", "")] == heard(client, 1)
            client.execute("UNLISTEN a", prepare=prepare, binary=True)
            assert [(turn,)] == client.execute("SELECT %s::int", (turn,)).fetchall()


def test_an_idle_client_is_notified_at_once(single: Gateway) -> None:
    with raw_client(single.dsn()) as raw, single.connect() as sender:
        assert "CZ" == shape(raw.ask(query("LISTEN a")))
        sender.execute("NOTIFY a, 'now'")
        assert [("a", "now")] == channels_of(raw, 1)


def test_a_client_in_a_transaction_is_notified_after_it(make_gateway: GatewayFactory) -> None:
    """PostgreSQL too tells a session when it is idle again, and not within its transaction."""
    gateway = make_gateway(pool__max_size=2)
    with raw_client(gateway.dsn()) as raw, raw_client(gateway.dsn()) as other:
        raw.ask(query("LISTEN a"))
        other.ask(query("LISTEN a"))
        assert "CZ" == shape(raw.ask(query("BEGIN")))
        other.ask(query("NOTIFY a, '1'"))
        assert [("a", "1")] == channels_of(other, 1)  # so the gateway has it
        assert "TDCZ" == shape(raw.ask(query("SELECT 1")))
        raw.send(query("COMMIT"))
        assert "CZA" == shape(raw.until(b"A"))


def test_what_was_notified_before_its_listen_is_not_heard(single: Gateway) -> None:
    """Others listen already, so that the shared listener may have it on its way still."""
    with (
        raw_client(single.dsn()) as raw,
        raw_client(single.dsn()) as other,
        raw_client(single.dsn()) as first,
    ):
        first.ask(query("LISTEN late"))
        for number in range(60):
            other.ask(query(f"NOTIFY late, 'before {number}'"))
            raw.ask(query("LISTEN late"))
            assert "TDCZ" == shape(raw.ask(query("SELECT 1")))
            raw.ask(query("UNLISTEN late"))


def test_a_thousand_in_order(single: Gateway) -> None:
    with single.connect() as client, single.connect() as sender:
        client.execute("LISTEN n")
        for number in range(1000):
            sender.execute(f"NOTIFY n, '{number}'")
        assert [("n", str(number)) for number in range(1000)] == heard(client, 1000)


@pytest.mark.parametrize("name", ["News", 'a "b"', "a b", "été", "日本語", "x" * 80, "é" * 40])
def test_names(single: Gateway, pg_conn: psycopg.Connection, name: str) -> None:
    channel = psycopg.sql.Identifier(name)
    listen, notify = (psycopg.sql.SQL(f"{verb} {{}}") for verb in ("LISTEN", "NOTIFY"))
    pg_conn.execute(listen.format(channel))
    with single.connect() as client:
        client.execute(listen.format(channel))
        client.execute(notify.format(channel))
        assert heard(pg_conn, 1) == heard(client, 1)


def test_another_encoding(single: Gateway, pg_conn: psycopg.Connection) -> None:
    """Names and payloads reach each client in its own."""
    with (
        single.connect(client_encoding="latin1") as latin,
        single.connect(client_encoding="utf8") as unicode,
    ):
        for client in (latin, unicode):
            client.execute('LISTEN "été"')
        pg_conn.execute("NOTIFY \"été\", 'à côté'")
        assert [("été", "à côté")] == heard(latin, 1)
        assert [("été", "à côté")] == heard(unicode, 1)


def test_long_payloads(single: Gateway) -> None:
    with single.connect() as client:
        client.execute("LISTEN a")
        client.execute("SELECT pg_notify('a', repeat('x', 7999))")
        assert [("a", "x" * 7999)] == heard(client, 1)


def test_one_connection_listens_for_all(single: Gateway, pg_conn: psycopg.Connection) -> None:
    with single.connect() as one, single.connect() as two:
        one.execute("LISTEN a")
        two.execute("LISTEN b")
        assert 1 == len(pg_conn.execute(LISTENERS).fetchall())


def test_a_lost_listener_closes_who_listens_and_nobody_else(
    single: Gateway, pg_conn: psycopg.Connection
) -> None:
    """They have to read anew what they may have missed; and they can listen anew at once."""
    with raw_client(single.dsn()) as raw, single.connect() as other:
        raw.ask(query("LISTEN a"))
        [(pid,)] = pg_conn.execute(LISTENERS).fetchall()
        pg_conn.execute("SELECT pg_terminate_backend(%s)", (pid,))
        rest = raw.rest()
        assert ["08006"] == sqlstates(rest)
        assert "FATAL" == fields(rest[-1])["S"]
        assert (1,) == other.execute("SELECT 1").fetchone()
        with single.connect() as again:
            again.execute("LISTEN a")
            other.execute("NOTIFY a, 'anew'")
            assert [("a", "anew")] == heard(again, 1)


def test_who_leaves_is_forgotten(single: Gateway, pg_conn: psycopg.Connection) -> None:
    with single.connect() as client:
        client.execute("LISTEN a")
    query = "SELECT query FROM pg_stat_activity WHERE datname = current_database()"
    wait_until(lambda: ('UNLISTEN "a"',) in pg_conn.execute(query).fetchall(), what="UNLISTEN")
    assert 1 == single.pool.cl_active + single.pool.cl_waiting + 1


def test_a_pipeline_that_listens(single: Gateway) -> None:
    with single.connect() as client, single.connect() as other:
        with client.pipeline():
            client.execute("LISTEN a")
            found = client.execute("SELECT 7")
            client.execute("LISTEN b")
        assert [(7,)] == found.fetchall()
        other.execute("NOTIFY a; NOTIFY b")
        assert [("a", ""), ("b", "")] == heard(client, 2)


def test_a_session_pool_listens_itself(make_gateway: GatewayFactory) -> None:
    gateway = make_gateway(pool__mode="session")
    with gateway.connect() as client, gateway.connect() as sender:
        client.execute("LISTEN a")
        pid = client.execute("SELECT pg_backend_pid()").fetchone()
        sender.execute("NOTIFY a, 'x'")
        assert [("a", "x")] == heard(client, 1)
        assert pid == client.execute("SELECT pg_backend_pid()").fetchone()


def test_listen_within_a_savepoint_that_is_rolled_back(single: Gateway) -> None:
    with single.connect() as client:
        client.execute("LISTEN last")
        client.execute("BEGIN; SAVEPOINT s; LISTEN a; ROLLBACK TO s; LISTEN b; COMMIT")
        client.execute("NOTIFY a; NOTIFY b; NOTIFY last")
        assert [("b", "")] == heard_before(client, "last")


def test_a_refused_listen_is_an_error_like_any_other(single: Gateway) -> None:
    with raw_client(single.dsn()) as raw:
        assert ["42601"] == sqlstates(raw.ask(query('LISTEN ""')))
        assert "TDCZ" == shape(raw.ask(query("SELECT 1")))


def test_a_listen_that_nobody_sees_notifies_nobody_else(single: Gateway) -> None:
    """One within a DO block or a function: its backend then has other clients."""
    with raw_client(single.dsn()) as raw, raw_client(single.dsn()) as other:
        raw.ask(query("DO $$ BEGIN EXECUTE 'LISTEN a'; END $$"))
        other.send(query("NOTIFY a; SELECT 1"))
        assert b"A" not in [kind for kind, _ in other.until(b"Z")]
        assert "TDCZ" == shape(other.ask(query("SELECT 2")))
