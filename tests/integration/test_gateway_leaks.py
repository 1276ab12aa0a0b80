"""What one client does, or leaves undone, never reaches the next: one backend, several clients."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from dbopt.wire import encode
from tests.fix_gateway import Gateway, GatewayFactory, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.integration.gateway_support import (
    SYNC,
    Raw,
    bind,
    describe,
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


@pytest.fixture(scope="module")
def one_backend(pg_backend: Server, gateway_loop: Runner) -> Iterator[Gateway]:
    with (
        fresh_database(pg_backend) as dsn,
        running(dsn, gateway_loop, pool__max_size=1) as gateway,
    ):
        yield gateway


def show(client: Raw, name: str) -> bytes | None:
    ((value,),) = rows(client.ask(query(f"SELECT current_setting('{name}', true)")))
    return value


def test_a_reset_of_one_setting_leaves_the_others_with_their_client(one_backend: Gateway) -> None:
    with raw_client(one_backend.dsn()) as first, raw_client(one_backend.dsn()) as second:
        default = show(second, "statement_timeout")
        first.ask(query("SET statement_timeout = '77s'"))
        first.ask(query("SET timezone = 'Asia/Tokyo'"))
        first.ask(query("RESET timezone"))
        assert default == show(second, "statement_timeout")
        assert b"77s" == show(first, "statement_timeout")
        first.ask(query("SET timezone TO DEFAULT; RESET datestyle"))
        assert b"77s" == show(first, "statement_timeout")
        assert default == show(second, "statement_timeout")


def test_prepare_in_sql_is_there_in_a_transaction_begun_by_a_query(one_backend: Gateway) -> None:
    with raw_client(one_backend.dsn()) as first, raw_client(one_backend.dsn()) as second:
        first.ask(query("PREPARE x AS SELECT 7"))
        second.ask(query("DEALLOCATE ALL"))
        first.ask(query("BEGIN"))
        found = first.ask(parse("EXECUTE x") + bind() + execute() + SYNC)
        assert ("12DCZ", [(b"7",)]) == (shape(found), rows(found))
        assert [] == sqlstates(first.ask(query("COMMIT")))


def test_a_reset_leads_to_what_the_client_began_with(one_backend: Gateway) -> None:
    options = "-c statement_timeout=9s"
    with (
        raw_client(one_backend.dsn(), options=options) as mine,
        raw_client(one_backend.dsn()) as other,
    ):
        mine.ask(query("SET statement_timeout = '77s'; SET lock_timeout = '66s'"))
        mine.ask(query("RESET statement_timeout"))
        for _ in range(2):
            assert (b"9s", b"66s") == (show(mine, "statement_timeout"), show(mine, "lock_timeout"))
            assert b"0" == show(other, "statement_timeout")
        mine.ask(query("BEGIN; RESET lock_timeout; ROLLBACK"))
        assert b"66s" == show(mine, "lock_timeout")


def test_who_is_gone_while_the_server_is_asked_leaves_no_setting(one_backend: Gateway) -> None:
    """What the probe finds is the one client's; the other has settings of its own."""
    with raw_client(one_backend.dsn()) as other:
        other.ask(query("SET lock_timeout = '33s'"))
        for turn in range(20):
            with raw_client(one_backend.dsn()) as gone:
                gone.send(query("SET statement_timeout = '77s'"))
                if turn % 2:
                    gone.until(b"Z")
            found = other.ask(query("SET myapp.turn = '1'"))
            assert [] == sqlstates(found)
            assert (b"0", b"33s") == (
                show(other, "statement_timeout"), show(other, "lock_timeout"),
            )  # fmt: skip


def test_listen_counts_although_what_was_sent_behind_it_fails(one_backend: Gateway) -> None:
    with raw_client(one_backend.dsn()) as mine, raw_client(one_backend.dsn()) as other:
        mine.ask(query("LISTEN one") + query("SELECT 1/0"), 2)
        mine.ask(query("BEGIN; LISTEN two; COMMIT; SELECT 1/0"))
        mine.ask(query("BEGIN; LISTEN three; ROLLBACK; LISTEN four"))
        for name in ("three", "one", "two", "four"):
            other.ask(query(f"NOTIFY {name}"))
        heard = [mine.until(b"A")[-1][1][4:].split(b"\0")[0] for _ in range(3)]
        assert [b"one", b"two", b"four"] == heard


def test_an_execute_behind_an_open_batch_finds_what_was_prepared(one_backend: Gateway) -> None:
    with raw_client(one_backend.dsn()) as first, raw_client(one_backend.dsn()) as second:
        first.ask(parse("SELECT 5", "five") + SYNC)
        second.ask(query("DEALLOCATE ALL"))
        found = first.ask(parse("SELECT 1") + query("EXECUTE five"))
        assert ("1TDCZ", [(b"5",)]) == (shape(found), rows(found))


@pytest.fixture(scope="module")
def sessions(pg_backend: Server, gateway_loop: Runner) -> Iterator[Gateway]:
    with (
        fresh_database(pg_backend) as dsn,
        running(dsn, gateway_loop, pool__max_size=1, pool__mode="session") as gateway,
    ):
        yield gateway


@pytest.mark.parametrize("reset", ["RESET timezone; RESET statement_timeout", "RESET ALL"])
def test_a_reset_in_a_session_of_its_own(sessions: Gateway, reset: str) -> None:
    options = "-c statement_timeout=9s -c TimeZone=Asia/Tokyo"
    with raw_client(sessions.dsn(), options=options) as mine:
        mine.ask(query("SET statement_timeout = '77s'; SET timezone = 'CET'"))
        assert [] == sqlstates(mine.ask(query(reset)))
        assert b"Asia/Tokyo" == show(mine, "timezone")


@pytest.fixture
def two_backends(pg_backend: Server, gateway_loop: Runner) -> Iterator[Gateway]:
    with (
        fresh_database(pg_backend) as dsn,
        running(dsn, gateway_loop, pool__max_size=2) as gateway,
    ):
        yield gateway


@pytest.mark.parametrize("before", [b"", parse("SELECT 1") + bind() + execute()])
@pytest.mark.parametrize("begin", [b"", query("BEGIN")])
def test_a_result_that_has_changed_does_not_go_unnoticed(
    two_backends: Gateway, before: bytes, begin: bytes
) -> None:
    """Rows of two columns for a client that was told of one."""
    use = before + bind(name="s") + execute() + SYNC
    dsn = two_backends.dsn()
    with raw_client(dsn) as mine, raw_client(dsn) as other, raw_client(dsn) as third:
        mine.ask(query("CREATE TABLE t (x int); INSERT INTO t VALUES (1)"))
        mine.ask(parse("SELECT * FROM t", "s") + describe("S", "s") + SYNC)
        assert "2DCZ" == shape(mine.ask(bind(name="s") + execute() + SYNC))
        other.ask(query("ALTER TABLE t ADD y int"))
        other.ask(query("BEGIN"))
        if begin:
            mine.ask(begin)
        found = mine.ask(use)
        assert ["0A000"] == sqlstates(found)
        error = fields(found[-2])
        assert ("cached plan must not change result type", "RevalidateCachedQuery") == (
            error["M"], error["R"],
        )  # fmt: skip
        assert b"E" if begin else b"I" == found[-1][1]
        mine.ask(query("ROLLBACK"))
        assert ["0A000"] == sqlstates(mine.ask(use))
        assert ["0A000"] == sqlstates(mine.ask(describe("S", "s") + SYNC))
        other.ask(query("ROLLBACK"))
        again = parse("SELECT * FROM t", "s2") + describe("S", "s2") + SYNC
        assert "1tTZ" == shape(mine.ask(again))
        third.ask(query("BEGIN"))
        assert [(b"1", None)] == rows(mine.ask(bind(name="s2") + execute() + SYNC))


def test_who_prepares_after_the_change_is_told_of_it(two_backends: Gateway) -> None:
    dsn = two_backends.dsn()
    with raw_client(dsn) as old, raw_client(dsn) as new, raw_client(dsn) as other:
        old.ask(query("CREATE TABLE t (x int); INSERT INTO t VALUES (1)"))
        make = parse("SELECT * FROM t", "s") + describe("S", "s") + SYNC
        use = bind(name="s") + execute() + SYNC
        old.ask(make)
        new.ask(query("ALTER TABLE t ADD y int"))
        new.ask(make)
        for _ in range(2):
            assert [(b"1", None)] == rows(new.ask(use))
            assert ["0A000"] == sqlstates(old.ask(use))
            other.ask(query("BEGIN"))  # another backend
        assert [] == sqlstates(old.ask(query("DEALLOCATE s")))
        old.ask(make)
        assert [(b"1", None)] == rows(old.ask(use))


@pytest.mark.parametrize("read", [True, False], ids=["after its answer", "at once"])
def test_a_backend_with_a_batch_that_had_no_sync_is_not_shared_when_its_client_leaves(
    make_gateway: GatewayFactory, read: bool
) -> None:
    """PostgreSQL 18 breaks such a session: "StartTransactionCommand: unexpected state"."""
    gateway = make_gateway(pool__max_size=1)
    for number in range(5):
        with gateway.connect() as before:
            (pid,) = before.execute("select pg_backend_pid()").fetchone() or (0,)
        with raw_client(gateway.dsn()) as raw:
            raw.send(query("begin") + run("select 1") + query(f"select {number}"))
            if read:
                raw.until(b"Z", 2)
        with gateway.connect() as after:
            assert (number,) == after.execute(f"select {number}").fetchone()
            assert (pid,) != after.execute("select pg_backend_pid()").fetchone()


@pytest.mark.parametrize("behind", [b"", query("SELECT 1"), query("SELECT 1") + encode.terminate()])
def test_a_flush_that_is_refused_costs_only_its_client(one_backend: Gateway, behind: bytes) -> None:
    bad = b"H\0\0\0\x05x"
    with raw_client(one_backend.dsn()) as first, raw_client(one_backend.dsn()) as second:
        assert ["08P01"] == sqlstates(first.ask(bad + query("SELECT 1") + SYNC))
        assert [(b"1",)] == rows(first.ask(query("SELECT 1")))
        first.send(bad + behind)
        first.socket.shutdown(socket.SHUT_WR)
        assert [(b"2",)] == rows(second.ask(query("SELECT 2")))
