"""Pitfalls of connections that come and go, of time, and of fairness."""

from __future__ import annotations

import threading
import time

import pytest

from dbopt.wire import encode
from dbopt.wire import messages as m
from tests.integration.gateway_support import (
    SYNC,
    Message,
    Raw,
    connected,
    fields,
    query,
    raw_client,
    run,
    shape,
    sqlstates,
)
from tests.integration.pitfalls.conftest import MakePlace
from tests.integration.pitfalls.place import Place, ask, value
from tests.support import wait_until

FATAL = encode.error_fields("FATAL", "57P01", "terminating connection")
STARTING = encode.error_fields("FATAL", "57P03", "the database system is starting up")
MINE = "datname = current_database() AND pid <> pg_backend_pid()"
LONG = "SELECT pg_sleep(60)"
READY = b"Z\0\0\0\5I"
PLUS = m.FunctionCall(177, (0,), (b"40", b"2"), 0).encode()


def wait_running(place: Place, count: int = 1) -> None:
    place.wait_for(
        f"SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' "
        f"AND state = 'active' AND {MINE}",
        count,
    )


# Servers that go


@pytest.mark.parametrize("last", [FATAL, b"", FATAL[:9]])
def test_pitfall_fatal_or_end_while_idle_is_found_before_handing_out(
    single: Place, last: bytes
) -> None:
    """pgdog#1318: the next client gets another backend, and no error."""
    with single.client() as raw:
        pid = ask(raw, "SELECT pg_backend_pid()")
        (link,) = single.tap.backends
        if last:
            link.inject(last)
        link.cut()
        assert link.closed.wait(10.0)
        single.gateway.seen.next_frame()
        found = raw.ask(run("SELECT pg_backend_pid()") + SYNC)
        assert "12TDCZ" == shape(found)
        assert pid != value(found)


def test_pitfall_fatal_while_idle_without_an_end(single: Place) -> None:
    """pgdog#1318: who said FATAL is trusted with nothing more."""
    with single.client() as raw:
        pid = ask(raw, "SELECT pg_backend_pid()")
        single.tap.backends[0].inject(FATAL)
        single.gateway.seen.next_frame()
        assert pid != ask(raw, "SELECT pg_backend_pid()")


@pytest.mark.parametrize("transaction", [False, True])
def test_pitfall_one_error_not_two(single: Place, transaction: bool) -> None:
    """pgdog#841: the server's reason, and not also that the connection was lost."""
    with single.client() as raw:
        if transaction:
            raw.ask(query("BEGIN"))
        raw.send(query(LONG))
        wait_running(single)
        single.sql(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {MINE}")
        if transaction:
            assert ["57P01"] == sqlstates(raw.rest())
        else:
            assert ["57P01"] == sqlstates(raw.until(b"Z"))
            assert "TDCZ" == shape(raw.ask(query("SELECT 1")))


def test_pitfall_server_that_is_starting_up_is_tried_again(make_place: MakePlace) -> None:
    """pgbouncer#946: 57P03 is no answer for a client, while there is time."""
    place = make_place(pool__max_size=1)
    refusals = iter([STARTING] * 2)
    place.tap.greet = lambda: next(refusals, b"")
    with place.client() as raw:
        assert "1" == ask(raw, "SELECT 1")
    assert [] == list(refusals)


# Clients that go


def test_pitfall_client_gone_in_a_transaction_is_rolled_back(single: Place) -> None:
    """And the next begins outside of any."""
    single.sql("CREATE TABLE kept (x int)")
    with single.client() as raw:
        raw.ask(query("BEGIN; INSERT INTO kept VALUES (1)"))
    with single.client() as raw:
        assert (b"Z", b"I") == raw.ask(query("INSERT INTO kept VALUES (2)"))[-1]
    assert (2,) == single.sql("SELECT sum(x)::int FROM kept")
    with single.client() as raw:
        raw.send(run("INSERT INTO kept VALUES (3)") + b"X\0\0\0\4")  # no Sync: no commit
        raw.rest()
    with single.client() as raw:
        assert "2" == ask(raw, "SELECT sum(x)::int FROM kept")


@pytest.mark.parametrize("sent", [query(LONG), run(LONG) + SYNC, query("BEGIN") + query(LONG)])
def test_pitfall_client_gone_in_a_query_is_cancelled(single: Place, sent: bytes) -> None:
    """pgbouncer#63, #497, #1312: the query of a client that is gone must not run on."""
    with single.client() as raw:
        raw.send(sent)
        wait_running(single)
    wait_running(single, 0)
    with single.client() as raw:
        assert "mine" == ask(raw, "SELECT 'mine'")


# Time


def test_pitfall_idle_in_transaction_timeout(make_place: MakePlace) -> None:
    """The client is told why and closed, its transaction ended, its backend given on."""
    place = make_place(pool__max_size=1, pool__idle_transaction_timeout=0.3)
    with place.clients(2) as (idle, waiting):
        idle.ask(query("BEGIN"))
        waiting.send(query("SELECT 'mine'"))
        told = idle.rest()
        assert ["25P03"] == sqlstates(told)
        assert "FATAL" == fields(told[-1])["S"]
        assert "mine" == value(waiting.until(b"Z"))
    with place.client() as raw:  # who works, or is idle outside of one, is not meant
        # At once: a slow machine must not idle for this client.
        work = query("BEGIN") + query("SELECT pg_sleep(0.6)") + query("COMMIT")
        assert "CZTDCZCZ" == shape(raw.ask(work, 3))


@pytest.mark.parametrize("extended", [False, True])
def test_pitfall_query_timeout(make_place: MakePlace, extended: bool) -> None:
    """The statement is cancelled, and the session goes on."""
    place = make_place(pool__max_size=1, pool__query_timeout=0.3)
    with place.client() as raw:
        found = raw.ask(run(LONG) + SYNC if extended else query(LONG))
        assert ["57014"] == sqlstates(found)
        assert "1" == ask(raw, "SELECT 1")
        raw.ask(query("BEGIN"))
        assert ["57014"] == sqlstates(raw.ask(query(LONG)))
        assert (b"Z", b"I") == raw.ask(query("ROLLBACK"))[-1]


def test_pitfall_transaction_timeout(make_place: MakePlace) -> None:
    """One that always has something to do ends too."""
    place = make_place(pool__max_size=1, pool__transaction_timeout=0.4)
    with place.client() as raw:
        raw.ask(query("BEGIN"))
        deadline = time.monotonic() + 10.0
        found: list[Message] = []
        while not sqlstates(found):
            assert time.monotonic() < deadline
            raw.send(query("SELECT pg_sleep(0.05)"))
            found = raw.until(b"Z")
        assert sqlstates(found)[0] in ("25P04", "57014")
    with place.client() as raw:
        assert (b"Z", b"I") == raw.ask(query("SELECT 1"))[-1]


def test_pitfall_queue_timeout(make_place: MakePlace) -> None:
    """Who waited in vain is told so, and can try again."""
    place = make_place(pool__max_size=1, gateway__queue_timeout=0.3)
    with place.clients(2) as (holder, waiting):
        holder.ask(query("BEGIN"))
        found = waiting.ask(query("SELECT 'secret'"))
        assert (["53300"], "EZ") == (sqlstates(found), shape(found))
        assert "secret" not in str(fields(found[0]))
        holder.ask(query("COMMIT"))
        assert "1" == ask(waiting, "SELECT 1")


# Fairness


def test_pitfall_queue_is_first_in_first_out(single: Place) -> None:
    """Also for one that comes back: it goes to the end."""
    single.sql("CREATE TABLE turns (id serial, who text)")
    with single.clients(6) as (holder, *waiting):
        holder.ask(query("BEGIN"))
        for number, raw in enumerate(waiting):
            raw.send(query(f"INSERT INTO turns (who) VALUES ('{number}')"))
            single.wait_queued(number + 1)
        holder.send(query("COMMIT") + query("INSERT INTO turns (who) VALUES ('last')"))
        assert "CZCZ" == shape(holder.until(b"Z", 2))
        for raw in waiting:
            assert "CZ" == shape(raw.until(b"Z"))
    (found,) = single.sql("SELECT string_agg(who, ' ' ORDER BY id) FROM turns")
    assert found in ("0 1 2 3 4 last", "last 0 1 2 3 4")  # a pipeline may go on at once


def drained(raw: Raw) -> threading.Thread:
    """Reads all up to ReadyForQuery, as fast as it comes, and gives the thread that does."""

    def read() -> None:
        end = b""
        while not end.endswith(READY):
            end = (end + raw.socket.recv(1 << 20))[-len(READY) :]

    thread = threading.Thread(target=read)
    thread.start()
    return thread


def test_pitfall_huge_result_starves_no_small_ones(make_place: MakePlace) -> None:
    """Its chunks take turns with everybody else's."""
    place = make_place(pool__max_size=2)
    with place.clients(2) as (huge, small):
        ask(small, "SELECT 1")
        huge.send(query("SELECT repeat('x', 99990) FROM generate_series(1, 5000)"))
        reading = drained(huge)
        answers = 0
        while reading.is_alive():
            ask(small, "SELECT 1")
            answers += 1
        reading.join()
        assert answers > 20


# What stays


def test_pitfall_reload_keeps_connections_whose_settings_did_not_change(
    make_place: MakePlace,
) -> None:
    """Neither clients nor backends notice; a transaction that is open goes on."""
    place = make_place(pool__max_size=2)
    with place.clients(2) as (open_one, raw):
        open_one.ask(query("BEGIN"))
        pids = {ask(client, "SELECT pg_backend_pid()") for client in (open_one, raw)}
        raw.ask(run("SELECT 'kept'", name="a") + SYNC)
        place.gateway.reload(**{"trace.slow": 12345.0})
        place.gateway.seen.next_frame()
        assert pids == {ask(client, "SELECT pg_backend_pid()") for client in (open_one, raw)}
        assert (b"Z", b"I") == open_one.ask(query("COMMIT"))[-1]
        assert 2 == len(place.tap.links)


@pytest.mark.parametrize("value", ["database", "true", "1"])
def test_pitfall_replication_connections_are_never_shared(single: Place, value: str) -> None:
    """They speak another protocol once they stream: dedicated, or refused as here."""
    with connected(single.gateway.host, single.gateway.port) as raw:
        found = raw.login(user="postgres", database="postgres", replication=value)
        assert ["0A000"] == sqlstates(found)
    with single.client() as raw:
        assert "1" == ask(raw, "SELECT 1")


def test_pitfall_function_call_messages_are_answered(single: Place) -> None:
    """odyssey#1444, pgdog#957: each by one ReadyForQuery, which frees the backend."""
    with single.clients(2) as (raw, other):
        for _ in range(2):
            assert "VZ" == shape(raw.ask(PLUS))
            assert "1" == ask(other, "SELECT 1")
        raw.send(PLUS + query("BEGIN") + PLUS + query("COMMIT") + PLUS)
        assert "VZCZVZCZVZ" == shape(raw.until(b"Z", 5))
        assert "1" == ask(other, "SELECT 1")


# Both ways at once


def test_pitfall_both_sides_writing_is_no_deadlock(single: Place) -> None:
    """supavisor#993, odyssey#1459: who waits to write must still read."""
    request, count = query(f"SELECT repeat('y', 20000) --{'-' * 20_000}"), 600
    with single.clients(2) as (raw, other):
        sending = threading.Thread(target=raw.send, args=(request * count,))
        sending.start()
        found = raw.until(b"Z", count)
        sending.join()
        assert "TDCZ" * count == shape(found)
        assert "1" == ask(other, "SELECT 1")


def test_pitfall_backend_is_not_left_behind_by_a_client_that_comes_and_goes(
    single: Place,
) -> None:
    """Whatever is the last that it sends."""
    goodbyes = [
        b"", b"X\0\0\0\4", query("SELECT 1"), query("BEGIN"), SYNC, b"Q\0\0", query("SELECT 1/0"),
        run("SELECT 1"), run("SELECT 1/0") + SYNC, query("COPY (SELECT 1) TO STDOUT"),
    ]  # fmt: skip
    for goodbye in goodbyes:
        with raw_client(single.gateway.dsn()) as raw:
            raw.send(goodbye)
    with single.client() as raw:
        assert "1" == ask(raw, "SELECT 1")
    wait_until(lambda: len(single.tap.backends) <= 1)
    assert (0,) == single.sql(
        f"SELECT count(*) FROM pg_stat_activity WHERE {MINE} AND state LIKE 'idle in%'"
    )
