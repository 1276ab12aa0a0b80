"""Pitfalls of cancel requests: whom they reach, and when."""

from __future__ import annotations

import socket

import pytest

from dbopt.wire import encode
from dbopt.wire.scan import messages as scan
from tests.integration.gateway_support import (
    Raw,
    cancel,
    connected,
    query,
    raw_client,
    shape,
    sqlstates,
)
from tests.integration.pitfalls.conftest import MakePlace
from tests.integration.pitfalls.place import Place, ask
from tests.integration.pitfalls.tap import Edit
from tests.support import wait_until

LONG = "SELECT pg_sleep(60)"


def send_cancel(place: Place, raw: Raw) -> None:
    """As a client does, on a connection of its own; returns when that is closed."""
    cancel(place.gateway.host, place.gateway.port, raw)


def start_cancel(place: Place, raw: Raw) -> Raw:
    """As send_cancel, without waiting; the connection is for the caller to close."""
    made = Raw(socket.create_connection((place.gateway.host, place.gateway.port)))
    made.send(encode.cancel_request(raw.pid, raw.secret))
    return made


def wait_running(place: Place, count: int = 1) -> None:
    place.wait_for(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' "
        "AND state = 'active' AND datname = current_database()",
        count,
    )


def test_pitfall_secret_is_mapped_to_the_clients_current_backend(make_place: MakePlace) -> None:
    """Not to the one that it had before, where somebody else works now."""
    place = make_place(pool__max_size=2)
    with place.clients(2) as (raw, other):
        first = ask(raw, "SELECT pg_backend_pid()")
        other.ask(query("BEGIN"))
        assert first == ask(other, "SELECT pg_backend_pid()")
        assert first != ask(raw, "SELECT pg_backend_pid()")
        other.send(query("SELECT pg_sleep(1), 'whole'"))
        raw.send(query(LONG))
        wait_running(place, 2)
        send_cancel(place, raw)
        assert ["57014"] == sqlstates(raw.until(b"Z"))
        assert "TDCZ" == shape(other.until(b"Z"))


def test_pitfall_cancels_in_flight_are_awaited_before_reuse(single: Place) -> None:
    """pgbouncer#717: one that is late must not hit the next client's statement."""
    with single.clients(2) as (raw, other):
        raw.send(query("SELECT pg_sleep(0.6), 'ended'"))
        wait_running(single)
        single.tap.cancels.clear()
        known = len(single.tap.cancelled)
        on_its_way = start_cancel(single, raw)
        try:
            wait_until(lambda: len(single.tap.cancelled) > known, what="the cancel on its way")
            assert "TDCZ" == shape(raw.until(b"Z"))
            other.send(query("SELECT pg_sleep(0.1), 'mine'"))
            single.wait_queued()
            single.tap.cancels.set()
            assert "TDCZ" == shape(other.until(b"Z"))
        finally:
            single.tap.cancels.set()
            on_its_way.socket.close()


def test_pitfall_cancel_while_idle_is_ignored(single: Place) -> None:
    """pgbouncer#298: nothing runs, so that the server is not even asked."""
    with single.clients(2) as (raw, other):
        ask(raw, "SELECT 1")
        known = len(single.tap.cancelled)
        other.send(query("SELECT pg_sleep(0.6), 'mine'"))
        wait_running(single)
        send_cancel(single, raw)
        assert "TDCZ" == shape(other.until(b"Z"))
        assert "2" == ask(raw, "SELECT 2")
        assert known == len(single.tap.cancelled)


def test_pitfall_cancel_during_parameter_sync_waits_for_it(single: Place) -> None:
    """pgbouncer#298: the gateway's own query must not be hit; the client's is, when it runs."""
    with single.client(TimeZone="Asia/Tokyo") as other, single.client() as raw:
        ask(other, "SELECT 1")
        known = len(single.tap.cancelled)
        single.tap.replies.clear()
        raw.send(query(LONG))
        wait_running(single)  # the server has done the settings; the gateway does not know
        on_its_way = start_cancel(single, raw)
        try:
            single.gateway.seen.next_frame()
            assert known == len(single.tap.cancelled)
            single.tap.replies.set()
            assert ["57014"] == sqlstates(raw.until(b"Z"))
        finally:
            single.tap.replies.set()
            on_its_way.socket.close()
        assert ask(raw, "SHOW TimeZone") != ask(other, "SHOW TimeZone")


def test_pitfall_cancels_own_connection_is_told_nothing(single: Place) -> None:
    """pgbouncer#141: no ReadyForQuery, no error: it is closed."""
    with single.client() as raw:
        raw.send(query(LONG))
        wait_running(single)
        for secret in (raw.secret, b"wrong secret"[: len(raw.secret)]):
            with connected(single.gateway.host, single.gateway.port) as stranger:
                stranger.send(encode.cancel_request(raw.pid, secret))
                assert [] == stranger.rest()
        assert ["57014"] == sqlstates(raw.until(b"Z"))


def test_pitfall_cancels_have_slots_beyond_the_limits(make_place: MakePlace) -> None:
    """pgbouncer#542: when all is in use, a cancel is what frees something."""
    place = make_place(pool__max_size=1, gateway__max_clients=1)
    with place.client() as raw:
        raw.send(query(LONG))
        wait_running(place)
        send_cancel(place, raw)
        assert ["57014"] == sqlstates(raw.until(b"Z"))


def keyed(secret: bytes | None) -> Edit:
    """Changes the key in a server's greeting, or leaves it out."""

    def edit(data: bytes) -> bytes:
        if not data.startswith(b"R"):
            return data
        out = b""
        end = 0
        for kind, start, end in scan(data):
            if kind != ord("K"):
                out += data[start:end]
            elif secret is not None:
                out += encode.backend_key_data(int.from_bytes(data[start + 5 : start + 9]), secret)
        return out + data[end:]

    return edit


def test_pitfall_servers_without_backend_key_data(make_place: MakePlace) -> None:
    """pgdog#918: they serve all the same; a cancel then does nothing."""
    place = make_place(pool__max_size=1)
    place.tap.edit = keyed(None)
    with place.client() as raw:
        assert "1" == ask(raw, "SELECT 1")
        raw.send(query("SELECT pg_sleep(0.6), 'whole'"))
        wait_running(place)
        send_cancel(place, raw)
        assert "TDCZ" == shape(raw.until(b"Z"))
    assert [] == place.tap.cancelled


@pytest.mark.parametrize("size", [4, 32, 256])
def test_pitfall_keys_of_4_to_256_bytes(make_place: MakePlace, size: int) -> None:
    """Protocol 3.2: a server's key is kept and sent back whole."""
    place = make_place(pool__max_size=1)
    secret = bytes(range(256))[-size:]
    place.tap.edit = keyed(secret)
    with place.client() as raw:
        raw.send(query("SELECT pg_sleep(0.6), 'whole'"))
        wait_running(place)
        send_cancel(place, raw)
        assert "TDCZ" == shape(raw.until(b"Z"))
    (link,) = place.tap.cancelled
    assert secret == link.first[12:]


def test_pitfall_cancel_while_queued_takes_the_client_out(single: Place) -> None:
    """pgbouncer#1222: Ctrl-C while queued."""
    with single.clients(2) as (holder, raw):
        holder.ask(query("BEGIN"))
        raw.send(query(LONG))
        single.wait_queued()
        send_cancel(single, raw)
        assert ["57014"] == sqlstates(raw.until(b"Z"))
        holder.ask(query("COMMIT"))
        assert "1" == ask(raw, "SELECT 1")


def test_pitfall_secrets_are_not_guessable_from_one_another(single: Place) -> None:
    """Two clients' keys differ, and a key of the server is never a client's."""
    with single.clients(3) as clients, raw_client(single.dsn) as direct:
        secrets = {raw.secret for raw in (*clients, direct)}
        assert 4 == len(secrets)
        assert 3 == len({raw.pid for raw in clients})
