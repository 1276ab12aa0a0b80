"""Pitfalls of COPY: what is left of one that failed, and who may be faster than whom."""

from __future__ import annotations

from contextlib import suppress

import psycopg
import pytest

from dbopt.wire import messages as m
from tests.integration.gateway_support import (
    COPY_DONE,
    FLUSH,
    SYNC,
    Raw,
    copy_data,
    query,
    run,
    shape,
    sqlstates,
)
from tests.integration.pitfalls.conftest import MakePlace
from tests.integration.pitfalls.place import Place, ask, value
from tests.support import wait_until

COPY = "COPY pets FROM STDIN"
BAD, GOOD = copy_data(b"one\n"), copy_data(b"2\n")
FAIL = m.CopyFail(b"no more").encode()
BLOCKED = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"


@pytest.fixture(autouse=True)
def pets(single: Place) -> None:
    single.sql("DROP TABLE IF EXISTS pets; CREATE TABLE pets (id int)")


@pytest.mark.parametrize("end", [COPY_DONE, FAIL])
def test_pitfall_after_an_error_copy_data_is_discarded_up_to_its_end(
    single: Place, end: bytes
) -> None:
    """pgbouncer#1025: the client learns of the error late, and another has the backend by then."""
    with single.clients(2) as (copying, other):
        copying.send(query(COPY))
        assert "G" == shape(copying.until(b"G"))
        copying.send(BAD + GOOD)
        assert ["22P02"] == sqlstates(copying.until(b"Z"))
        other.send(query(COPY))
        assert "G" == shape(other.until(b"G"))
        for _ in range(20):
            copying.send(GOOD)  # not the other's
        copying.send(end + query("SELECT 'later'"))
        single.wait_queued()
        assert "CZ" == shape(other.ask(GOOD + COPY_DONE))
        assert "later" == value(copying.until(b"Z"))
    assert (1,) == single.sql("SELECT count(*) FROM pets")


@pytest.mark.parametrize("data", [BAD + GOOD + COPY_DONE, GOOD + FAIL])
def test_pitfall_after_an_error_in_the_extended_protocol_all_is_discarded_up_to_sync(
    single: Place, data: bytes
) -> None:
    """pgbouncer#1025: CopyDone does not end it there, Sync does."""
    with single.clients(2) as (copying, other):
        copying.send(run(COPY) + FLUSH)
        assert "12nG" == shape(copying.until(b"G"))
        copying.send(data)
        assert 1 == len(sqlstates(copying.until(b"E")))
        copying.send(GOOD + run("SELECT 'skipped'") + query("SELECT 'skipped'") + FLUSH)
        other.send(query("SELECT 'mine'"))
        single.wait_queued()
        assert "Z" == shape(copying.ask(SYNC))
        assert "mine" == value(other.until(b"Z"))
        assert "12TDCZ" == shape(copying.ask(run("SELECT 1") + SYNC))
    assert (0,) == single.sql("SELECT count(*) FROM pets")


def rss_mb(pid: int) -> float:
    with open(f"/proc/{pid}/status") as file:
        (line,) = (line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) / 1024


def test_pitfall_copy_out_to_a_client_that_does_not_read_holds_the_server(
    make_place: MakePlace,
) -> None:
    """Backpressure: the server waits, and the gateway keeps little."""
    place = make_place(pool__max_size=2)
    (worker,) = place.gateway.pids
    with place.clients(2) as (slow, other):
        ask(other, "SELECT 1")
        before = rss_mb(worker)
        rows = "SELECT repeat('x', 99999) FROM generate_series(1, 800)"
        slow.send(query(f"COPY ({rows}) TO STDOUT"))
        place.wait_for(BLOCKED)
        assert "1" == ask(other, "SELECT 1")
        assert rss_mb(worker) - before < 16
        found = slow.until(b"Z")
        assert 80_000_000 == sum(len(payload) for kind, payload in found if kind == b"d")


def test_pitfall_copy_in_to_a_server_that_does_not_read_holds_the_client(
    make_place: MakePlace,
) -> None:
    """Backpressure: the client's writes block, and the gateway keeps little."""
    place = make_place(pool__max_size=2)
    place.sql("CREATE TABLE pets (id int)")
    (worker,) = place.gateway.pids
    with place.clients(2) as (copying, other), psycopg.connect(place.dsn) as locker:
        locker.execute("LOCK pets")
        ask(other, "SELECT 1")
        before = rss_mb(worker)
        copying.send(query(COPY))
        sent = fill(copying)
        assert sent < 50_000_000
        assert "1" == ask(other, "SELECT 1")
        assert rss_mb(worker) - before < 16
        locker.rollback()
        copying.send(GOOD[sent % len(GOOD) :] + COPY_DONE)
        assert [] == sqlstates(copying.until(b"Z"))
    assert (sent // len(GOOD) + 1,) == place.sql("SELECT count(*) FROM pets")


def fill(raw: Raw) -> int:
    """Send rows until no more are taken; gives how many bytes were."""
    chunk = GOOD * 20_000
    sent = 0
    raw.socket.settimeout(0.5)
    with suppress(TimeoutError):
        while sent < 100_000_000:
            sent += raw.socket.send(chunk[sent % len(GOOD) :])
    raw.socket.settimeout(20.0)
    return sent


def test_pitfall_copy_of_a_client_that_vanishes_is_ended(single: Place) -> None:
    """Nobody feeds it any more: the backend must not wait for ever, nor take another's data."""
    with single.client() as raw:
        raw.send(query(COPY) + GOOD * 3)
        assert "G" == shape(raw.until(b"G"))
    with single.client() as other:
        assert "mine" == ask(other, "SELECT 'mine'")
        wait_until(lambda: len(single.tap.backends) == 1)
    assert (0,) == single.sql("SELECT count(*) FROM pets")
