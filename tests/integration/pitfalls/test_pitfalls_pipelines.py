"""Pitfalls of pipelines: when a backend is free, and which reply belongs to what."""

from __future__ import annotations

import pytest

from tests.integration.gateway_support import (
    FLUSH,
    SYNC,
    bind,
    close,
    copy_data,
    describe,
    execute,
    parse,
    query,
    run,
    shape,
    sqlstates,
)
from tests.integration.pitfalls.place import Place, ask, value

LOCKED = "SELECT pg_advisory_xact_lock({0}), {0}"


def test_pitfall_backend_released_only_when_no_ready_for_query_is_outstanding(
    single: Place,
) -> None:
    """pgbouncer#52, supavisor#1079: the first ReadyForQuery of a pipeline frees nothing."""
    with single.clients(2) as (pipelining, waiting):
        single.sql("SELECT pg_advisory_lock(1)")
        pipelining.send(query("SELECT 'a'") + query(LOCKED.format(1)) + run("SELECT 'c'") + SYNC)
        assert "a" == value(pipelining.until(b"Z"))
        waiting.send(query("SELECT 'mine'"))
        single.wait_queued()
        single.sql("SELECT pg_advisory_unlock(1)")
        assert "TDCZ12TDCZ" == shape(pipelining.until(b"Z", 2))
        assert "mine" == value(waiting.until(b"Z"))


def test_pitfall_describe_and_flush_is_no_completion(single: Place) -> None:
    """pgdog#760: Parse, Describe, Flush, Bind, Execute, Flush: no ReadyForQuery is made up."""
    with single.clients(2) as (flushing, waiting):
        flushing.send(parse("SELECT 'f'") + describe("S") + FLUSH)
        assert "1tT" == shape(flushing.until(b"T"))
        waiting.send(query("SELECT 'mine'"))
        single.wait_queued()
        flushing.send(bind() + execute() + FLUSH)
        assert "2DC" == shape(flushing.until(b"C"))
        single.wait_queued()
        assert "Z" == shape(flushing.ask(SYNC))
        assert "mine" == value(waiting.until(b"Z"))


def test_pitfall_after_an_error_all_is_skipped_to_sync(single: Place) -> None:
    """Also what the gateway put in between: its own Parse is skipped as the client's Bind is."""
    with single.client() as raw:
        raw.ask(parse("SELECT 'a'", "a") + parse("SELECT 'b'", "b") + SYNC)
        single.renew()
        found = raw.ask(run("SELECT 1/0") + bind(name="a") + describe("S", "b") + execute() + SYNC)
        assert "1EZ" == shape(found)
        assert "2DCtT2DCZ" == shape(
            raw.ask(
                bind(name="a") + execute() + describe("S", "b") + bind(name="b") + execute() + SYNC
            )
        )


def test_pitfall_replies_to_injected_messages_keep_their_place(single: Place) -> None:
    """pgbouncer#1120: a queue in order tells the gateway's own Parse and Close from others."""
    with single.client() as raw:
        raw.ask(parse("SELECT 'a'", "a") + parse("SELECT 'b'", "b") + SYNC)
        single.renew()
        pipeline = (
            bind(name="a") + execute() + parse("SELECT 'c'", "c") + bind(name="b") + execute()
            + close("S", "b") + describe("S", "a") + close("P") + bind(name="c") + execute() + SYNC
            + query("SELECT 'q'") + bind(name="a") + execute() + SYNC
        )  # fmt: skip
        found = raw.ask(pipeline, 3)
        assert "2DC12DC3tT32DCZTDCZ2DCZ" == shape(found)
        assert [b"a", b"b", b"c", b"q", b"a"] == [p[-1:] for kind, p in found if kind == b"D"]


def test_pitfall_query_in_a_failed_unsynced_batch_gives_no_ready_for_query(single: Place) -> None:
    """pgdog#1356: the server skips the Query too, and only its Sync is answered."""
    with single.clients(2) as (failing, waiting):
        failing.send(parse("SELECT nothing") + FLUSH)
        assert ["42703"] == sqlstates(failing.until(b"E"))
        failing.send(query("SELECT 1"))
        waiting.send(query("SELECT 'mine'"))
        single.wait_queued()
        failing.send(query("SELECT 2") + SYNC + query("SELECT 'next'"))
        assert "ZTDCZ" == shape(failing.until(b"Z", 2))
        assert "mine" == value(waiting.until(b"Z"))


def test_pitfall_simple_query_clears_the_unnamed_statement_and_portal(single: Place) -> None:
    """It is gone on the server, so it must not come back by the gateway's memory."""
    with single.clients(2) as (first, second):
        for raw in (first, second):
            assert "1Z" == shape(raw.ask(parse("SELECT 'unnamed'") + SYNC))
        assert "simple" == ask(first, "SELECT 'simple'")
        assert ["26000"] == sqlstates(first.ask(bind() + execute() + SYNC))
        assert "unnamed" == value(second.ask(bind() + execute() + SYNC))
        first.ask(query("BEGIN") + parse("SELECT 1") + bind() + SYNC, 2)
        first.ask(query("SELECT 2"))
        assert ["34000"] == sqlstates(first.ask(execute() + SYNC))
        assert "CZ" == shape(first.ask(query("ROLLBACK")))


@pytest.mark.parametrize("end", [FLUSH, SYNC])
def test_pitfall_portal_suspended_keeps_the_backend(single: Place, end: bytes) -> None:
    """pgdog#763, pgdog#1332: a suspended portal is not done; in a transaction not even by Sync."""
    with single.clients(2) as (reading, waiting):
        if end == SYNC:
            reading.ask(query("BEGIN"))
        stop = b"Z" if end == SYNC else b"s"
        reading.send(
            parse("SELECT generate_series(1, 3)") + bind(portal="p") + execute("p", 2) + end
        )
        assert "12DDs" == shape(reading.until(stop)).rstrip("Z")
        waiting.send(query("SELECT 'mine'"))
        single.wait_queued()
        assert "DCZ" == shape(reading.ask(execute("p", 2) + SYNC))
        if end == SYNC:
            assert "CZ" == shape(reading.ask(query("COMMIT")))
        assert "mine" == value(waiting.until(b"Z"))


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(parse("SELECT $1") + FLUSH + bind("x")[:9], id="bind"),
        pytest.param(run("SELECT 'theirs'") + FLUSH, id="no-sync"),
        pytest.param(query("COPY half FROM STDIN") + copy_data(b"row\n" * 99)[:50], id="copy"),
        pytest.param(query("BEGIN") + query("SELECT 'theirs'")[:9], id="query"),
        pytest.param(run("INSERT INTO half VALUES ('x')") + execute() + FLUSH, id="insert"),
    ],
)
def test_pitfall_half_sent_request_of_a_vanished_client_reaches_nobody(
    single: Place, begun: bytes
) -> None:
    """pgdog#762, pgdog#805: what is left of it must not precede the next client's request."""
    single.sql("CREATE TABLE IF NOT EXISTS half (x text)")
    with single.client() as vanishing:
        ask(vanishing, "SELECT 1")
        vanishing.send(begun)
        vanishing.until(b"1CG")
    with single.client() as raw:
        for _ in range(3):
            assert "mine" == value(raw.ask(run("SELECT 'mine'") + SYNC))
    assert (0,) == single.sql("SELECT count(*) FROM half")
