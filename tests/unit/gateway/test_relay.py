"""Relays as state machines: scripted bytes in, exact bytes out, and when the backend is let go."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, cast

import pytest

from dbopt.errors import QueryCancelled, QueueTimeout
from dbopt.gateway.backend import Backend
from dbopt.gateway.relay import Relay
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.unit.gateway.stage import Stage, Wire, told, wire_of

SYNC, FLUSH = m.Sync().encode(), m.Flush().encode()
NOWHERE = encode.close_statement(b"dbopt_none")
READY = encode.ready_for_query(b"I")


def query(sql: bytes) -> bytes:
    return m.Query(sql).encode()


def parse(sql: bytes, name: bytes = b"") -> bytes:
    return m.Parse(name, sql).encode()


def bind(name: bytes = b"", portal: bytes = b"", values: tuple[bytes, ...] = ()) -> bytes:
    return m.Bind(portal, name, (), values, ()).encode()


def execute(portal: bytes = b"", rows: int = 0) -> bytes:
    return m.Execute(portal, rows).encode()


def described(sql: bytes, name: bytes) -> bytes:
    """A Parse, and the Describe by which the gateway knows whether the result has changed."""
    return parse(sql, name) + m.Describe(ord("S"), name).encode()


def close(name: bytes) -> bytes:
    return m.Close(ord("S"), name).encode()


class Scene:
    """One backend, and clients that use it."""

    def __init__(self, capacity: int = 100) -> None:
        self.stage = Stage(1, capacity)
        (self.backend,) = self.stage.backends
        self.wire = wire_of(self.backend)
        self._read: dict[Relay, int] = {}

    def client(self, zone: str = "gateway") -> Relay:
        return self.stage.client(zone)

    def send(self, relay: Relay, data: bytes) -> bytes:
        """What the server is sent for it."""
        before = len(self.wire.written)
        relay.data_received(data)
        return bytes(self.wire.written[before:])

    def read(self, relay: Relay) -> str:
        """The types of the messages that the client is told, once all replies are in."""
        self.stage.settle()
        all_of_it = told(relay)
        start = self._read.get(relay, 0)
        self._read[relay] = len(all_of_it)
        return bytes(kind_of(all_of_it[start:])).decode()

    @property
    def free(self) -> bool:
        return self.stage.free == [self.backend]


def kind_of(data: bytes) -> list[int]:
    return [kind for kind, _, _ in scan(data)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_a_simple_query_passes_as_it_is(scene: Scene) -> None:
    relay = scene.client()
    assert query(b"select") == scene.send(relay, query(b"select"))
    assert not scene.free
    assert "TDCZ" == scene.read(relay)
    assert scene.free


def test_no_backend_before_the_message_is_whole(scene: Scene) -> None:
    relay = scene.client()
    assert b"" == scene.send(relay, query(b"select")[:-1])
    assert scene.free
    assert query(b"select") == scene.send(relay, b"\0")


def test_a_transaction_keeps_its_backend(scene: Scene) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, query(b"begin"))
    assert "CZ" == scene.read(one)
    assert b"" == scene.send(two, query(b"select"))
    assert [two] == scene.stage.waiting
    scene.send(one, query(b"commit"))
    assert "CZ" == scene.read(one)
    assert "TDCZ" == scene.read(two)
    assert scene.free


def test_the_next_client_knows_nothing_of_a_failed_transaction(scene: Scene) -> None:
    relay = scene.client()
    for sql, answer in ((b"begin", "CZ"), (b"error", "EZ"), (b"rollback", "CZ")):
        scene.send(relay, query(sql))
        assert answer == scene.read(relay)
    assert scene.free
    assert not scene.backend.downstream.failed


def test_a_pipeline_keeps_its_backend_to_the_last_reply(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select") + parse(b"select") + bind() + execute() + SYNC)
    first = bytes(scene.wire.server.out).index(READY) + len(READY)
    scene.stage.deliver(scene.backend, first)
    assert not scene.free
    assert "TDCZ12DCZ" == scene.read(relay)
    assert scene.free


def test_settings_come_first_and_their_replies_are_hidden(scene: Scene) -> None:
    relay = scene.client("berlin")
    sql = b"SELECT pg_catalog.set_config(E'TimeZone',E'berlin',false)"
    assert encode.query(sql) + query(b"select") == scene.send(relay, query(b"select"))
    assert "TDCZ" == scene.read(relay)
    assert query(b"select") == scene.send(relay, query(b"select"))


def test_settings_that_are_refused(scene: Scene) -> None:
    relay = scene.client("berlin")
    relay.data_received(query(b"select"))
    wire = scene.wire.server
    wire.out.clear()  # the model would accept it
    wire.out += encode.error_fields("ERROR", "22023", "no such zone") + READY
    wire.out += m.CommandComplete(b"SELECT 1").encode() + READY
    assert "E" == scene.read(relay)
    assert [scene.backend] == scene.stage.discarded
    assert cast(Wire, relay.transport).closed


def test_a_name_is_the_servers(scene: Scene) -> None:
    relay = scene.client()
    sent = scene.send(relay, parse(b"select", b"a") + SYNC)
    assert described(b"select", b"dbopt_1") + SYNC == sent
    assert "1Z" == scene.read(relay)
    assert bind(b"dbopt_1") + execute() + SYNC == scene.send(relay, bind(b"a") + execute() + SYNC)
    assert "2DCZ" == scene.read(relay)


def test_a_known_statement_is_closed_and_parsed_again(scene: Scene) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, parse(b"select", b"a") + SYNC)
    assert "1Z" == scene.read(one)
    sent = scene.send(two, parse(b"select", b"b") + bind(b"b") + execute() + SYNC)
    again = close(b"dbopt_1") + described(b"select", b"dbopt_1")
    assert again + bind(b"dbopt_1") + execute() + SYNC == sent
    assert "12DCZ" == scene.read(two)


def test_a_known_statement_in_a_failed_transaction(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"select", b"a") + SYNC + query(b"begin") + query(b"error"))
    assert "1ZCZEZ" == scene.read(relay)
    sent = scene.send(relay, parse(b"select", b"b") + SYNC)
    assert close(b"dbopt_1") + described(b"select", b"dbopt_1") + SYNC == sent
    assert "1Z" == scene.read(relay)


def test_a_failed_parse_is_not_kept(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"bad", b"a") + SYNC)
    assert "EZ" == scene.read(relay)
    sent = scene.send(relay, parse(b"select", b"a") + SYNC)
    assert described(b"select", b"dbopt_2") + SYNC == sent
    assert "1Z" == scene.read(relay)


def test_a_name_made_and_closed_in_a_skipped_batch(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"bad") + parse(b"select", b"a") + close(b"a") + SYNC)
    assert "EZ" == scene.read(relay)
    scene.send(relay, bind(b"a") + SYNC)
    assert "EZ" == scene.read(relay)


def test_a_name_like_the_gateways_own(scene: Scene) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, parse(b"select", b"a") + SYNC)
    assert "1Z" == scene.read(one)
    assert bind(b"dbopt_none") + SYNC == scene.send(two, bind(b"dbopt_1") + SYNC)
    assert "EZ" == scene.read(two)


def test_an_unnamed_statement_that_another_took(scene: Scene) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, parse(b"select") + SYNC)
    scene.read(one)
    scene.send(two, parse(b"") + SYNC)
    scene.read(two)
    assert parse(b"select") + bind() + execute() + SYNC == scene.send(
        one, bind() + execute() + SYNC
    )
    assert "2DCZ" == scene.read(one)


def test_an_unnamed_statement_that_was_never_made(scene: Scene) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, parse(b"select") + SYNC)
    scene.read(one)
    assert close(b"") + bind() + execute() + SYNC == scene.send(two, bind() + execute() + SYNC)
    assert "EZ" == scene.read(two)


def test_an_unnamed_statement_that_was_skipped(scene: Scene) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, parse(b"select") + SYNC)
    scene.read(one)
    scene.send(two, bind(b"none") + FLUSH)
    assert "E" == scene.read(two)
    scene.send(two, parse(b"") + SYNC + bind() + execute() + SYNC)
    assert "ZEZ" == scene.read(two)


def test_eviction_at_the_start_of_a_lease() -> None:
    scene = Scene(capacity=1)
    relay = scene.client()
    scene.send(relay, parse(b"select", b"a") + parse(b"", b"b") + SYNC)
    assert "11Z" == scene.read(relay)
    sent = scene.send(relay, bind(b"a") + execute() + SYNC)
    assert close(b"dbopt_1") + described(b"select", b"dbopt_1") + FLUSH == sent
    before = len(scene.wire.written)
    assert "2DCZ" == scene.read(relay)
    assert bind(b"dbopt_1") + execute() + SYNC == bytes(scene.wire.written[before:])
    scene.send(relay, bind(b"a") + execute() + SYNC)
    assert "2DCZ" == scene.read(relay)


class Deaf:
    """A shared listener that never listens."""

    def subscribe(self, *_: object) -> None: ...

    def unsubscribe(self, *_: object) -> None: ...


@pytest.mark.parametrize("gone", [False, True])
def test_eviction_before_a_message_that_waits_is_answered(gone: bool) -> None:
    """Else the backend is held for nothing, up to Leftover's patience if its client has gone."""
    scene = Scene(capacity=1)
    cast(Any, scene.stage.gate).listener = lambda *_: Deaf()
    relay = scene.client()
    scene.send(relay, parse(b"select", b"a") + parse(b"", b"b") + SYNC)
    assert "11Z" == scene.read(relay)
    assert close(b"dbopt_1") + FLUSH == scene.send(relay, query(b"LISTEN news"))
    if gone:
        relay.connection_lost(None)
    assert not scene.free
    assert "" == scene.read(relay)
    assert scene.free


def test_an_error_before_its_sync(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"bad") + FLUSH)
    assert "E" == scene.read(relay)
    assert not scene.free
    scene.send(relay, query(b"select") + bind())
    assert "" == scene.read(relay)
    scene.send(relay, SYNC)
    assert "Z" == scene.read(relay)
    assert scene.free


def test_a_query_after_an_unsynced_batch_is_fenced(scene: Scene) -> None:
    relay = scene.client()
    batch = parse(b"select") + bind(values=(b"bad",))
    assert batch + NOWHERE + query(b"select") == scene.send(relay, batch + query(b"select"))
    assert "1E" == scene.read(relay)
    assert not scene.free
    scene.send(relay, SYNC)
    assert "Z" == scene.read(relay)
    assert scene.free


def test_a_suspended_portal_in_a_transaction(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"begin") + parse(b"select") + bind(b"", b"p") + execute(b"p", 1))
    scene.send(relay, SYNC)
    assert "CZ12DsZ" == scene.read(relay)
    assert not scene.free


def test_copy_with_its_sync_before_the_data(scene: Scene) -> None:
    relay = scene.client()
    row, done = m.CopyData(b"row").encode(), m.CopyDone().encode()
    scene.send(relay, parse(b"copy") + bind() + execute() + SYNC)
    assert "12G" == scene.read(relay)
    scene.send(relay, row + done)
    assert "C" == scene.read(relay)
    assert not scene.free
    scene.send(relay, SYNC)
    assert "Z" == scene.read(relay)
    assert scene.free


def test_copy_at_once_with_its_sync_before_the_data(scene: Scene) -> None:
    relay = scene.client()
    row, done = m.CopyData(b"row").encode(), m.CopyDone().encode()
    scene.send(relay, parse(b"copy") + bind() + execute() + SYNC + row + done)
    assert "12GC" == scene.read(relay)
    assert not scene.free
    scene.send(relay, SYNC)
    assert "Z" == scene.read(relay)
    assert scene.free


@pytest.mark.parametrize("patient", [False, True])
def test_a_copy_that_failed_before_another_in_a_pipeline(scene: Scene, patient: bool) -> None:
    relay = scene.client()
    rest = (
        m.CopyData(b"bad").encode()
        + query(b"select")
        + query(b"copy")
        + m.CopyFail(b"enough").encode()
        + SYNC
    )
    scene.send(relay, query(b"copy"))
    answer = scene.read(relay) if patient else ""
    scene.send(relay, rest + query(b"select"))
    assert "GEZTDCZGEZZTDCZ" == answer + scene.read(relay)
    assert scene.free


def test_a_copy_that_failed_leaves_rows_that_nobody_reads(scene: Scene) -> None:
    relay = scene.client()
    row, done = m.CopyData(b"bad").encode(), m.CopyDone().encode()
    scene.send(relay, query(b"copy") + row)
    assert "GEZ" == scene.read(relay)
    assert scene.free
    assert query(b"select") == scene.send(relay, row * 1000 + done + query(b"select"))
    assert "TDCZ" == scene.read(relay)


def test_a_client_paused_for_a_full_backend_goes_on(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"copy"))
    assert "G" == scene.read(relay)
    scene.backend.pause_writing()
    assert not cast(Wire, relay.transport).reading
    scene.send(relay, m.CopyData(b"bad").encode())
    assert "EZ" == scene.read(relay)
    assert scene.free
    assert cast(Wire, relay.transport).reading


def test_a_client_that_reads_slowly(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"begin"))
    relay.pause_writing()
    assert not scene.wire.reading
    relay.resume_writing()
    assert scene.wire.reading


def test_garbage_after_a_request_costs_no_backend(scene: Scene) -> None:
    relay = scene.client()
    relay.data_received(query(b"select") + b"\0\0\0\0\4")
    assert [scene.backend] == scene.stage.discarded
    assert [ord("E")] == kind_of(told(relay))
    assert cast(Wire, relay.transport).closed
    assert 1 == scene.stage.gate.bad


def lose(backend: Backend) -> None:
    wire_of(backend).server.out.clear()
    backend.connection_lost(None)


def test_a_backend_lost_in_a_query(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select"))
    lose(scene.backend)
    assert encode.ready_for_query(b"I") == told(relay)[-len(READY) :]
    assert "EZ" == bytes(kind_of(told(relay))).decode()
    assert not cast(Wire, relay.transport).closed


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (parse(b"error") + bind() + execute() + SYNC, "12E"),
        (query(b"error"), "E"),
        (query(b"select") + parse(b"error") + bind() + execute() + SYNC, "TDCZ12E"),
    ],
)
def test_a_backend_lost_behind_an_error(scene: Scene, data: bytes, answer: str) -> None:
    """Of one request one error is told: the first."""
    relay = scene.client()
    scene.send(relay, data)
    scene.stage.deliver(scene.backend, len(wire_of(scene.backend).server.out) - len(READY))
    assert answer == bytes(kind_of(told(relay))).decode()
    lose(scene.backend)
    assert answer + "Z" == bytes(kind_of(told(relay))).decode()
    assert not cast(Wire, relay.transport).closed
    errors = [count.errors for count in scene.stage.gate.counts.take().counts]
    assert [1] == [sum(found.values()) for found in errors if found]


def test_a_backend_lost_after_terminate(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select") + encode.terminate())
    scene.backend.connection_lost(None)
    assert "E" == scene.read(relay)[-1]
    assert relay.closed


def test_a_backend_lost_with_the_settings_in_flight(scene: Scene) -> None:
    relay = scene.client("berlin")
    scene.send(relay, query(b"select"))
    lose(scene.backend)
    assert "EZ" == bytes(kind_of(told(relay))).decode()


@pytest.mark.parametrize("rest", [query(b"select"), query(b"select")[:3], parse(b"select")])
def test_a_backend_lost_with_more_in_flight(scene: Scene, rest: bytes) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select") + rest)
    lose(scene.backend)
    assert "E" == bytes(kind_of(told(relay))).decode()
    assert cast(Wire, relay.transport).closed


def test_a_backend_lost_in_a_transaction(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"begin"))
    assert "CZ" == scene.read(relay)
    lose(scene.backend)
    assert "CZE" == bytes(kind_of(told(relay))).decode()
    assert cast(Wire, relay.transport).closed


def test_a_backend_lost_within_a_row(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select"))
    scene.stage.deliver(scene.backend, 14)
    before = told(relay)
    lose(scene.backend)
    assert before == told(relay)
    assert cast(Wire, relay.transport).closed


def test_a_fatal_error_is_told_once(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select"))
    scene.wire.server.out.clear()
    scene.backend.data_received(encode.error_fields("FATAL", "57P01", "bye"))
    assert b"" == told(relay)
    scene.backend.connection_lost(None)
    found = told(relay)
    assert "EZ" == bytes(kind_of(found)).decode()
    assert b"57P01" in found


def test_a_fatal_error_after_the_last_reply_is_not_told(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"select"))
    scene.wire.server.out += encode.error_fields("FATAL", "57P01", "bye")
    assert "TDCZ" == scene.read(relay)
    assert [scene.backend] == scene.stage.discarded
    assert not cast(Wire, relay.transport).closed


def test_a_fatal_error_after_the_last_reply_is_told_to_who_keeps_the_session(scene: Scene) -> None:
    scene.stage.route = replace(scene.stage.route, mode="session")
    relay = scene.client()
    scene.send(relay, query(b"select"))
    scene.wire.server.out += encode.error_fields("FATAL", "57P01", "bye")
    assert "TDCZE" == scene.read(relay)
    assert told(relay).endswith(encode.error_fields("FATAL", "57P01", "bye"))
    assert relay.closed
    assert [scene.backend] == scene.stage.discarded


@pytest.mark.parametrize(
    "data",
    [
        b"Z\0\0\0\5I", b"C\0\0\0\6x\0", b"1\0\0\0\4", b"!\0\0\0\4", b"W\0\0\0\4", b"Z\0\0\0\4",
        b"T\0\0\0\0", b"D\xff\xff\xff\xff", b"S\0\0\0\5x",
    ],
)  # fmt: skip
def test_a_server_that_makes_no_sense(scene: Scene, data: bytes) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"select") + bind())
    scene.wire.server.out.clear()
    backend: Any = scene.backend
    if data == b"1\0\0\0\4":
        data *= 2  # the first one was due
    backend.data_received(data)
    assert [scene.backend] == scene.stage.discarded
    assert [ord("E")] == kind_of(told(relay))[-1:]


@pytest.mark.parametrize("error", [QueueTimeout(), QueryCancelled()])
def test_who_waited_in_vain_goes_on(scene: Scene, error: QueueTimeout) -> None:
    one, two = scene.client(), scene.client()
    scene.send(one, query(b"begin"))
    scene.send(two, query(b"select"))
    scene.stage.waiting.remove(two)
    two.refused(error)
    assert encode.error_response(error) + READY == told(two)
    assert not cast(Wire, two.transport).closed


def test_a_cancel_waits_for_the_settings(scene: Scene) -> None:
    relay = scene.client("berlin")
    scene.send(relay, query(b"begin;select"))
    relay.cancel()
    assert [] == scene.stage.cancelled
    scene.stage.deliver(scene.backend, bytes(scene.wire.server.out).index(READY) + len(READY))
    assert [scene.backend] == scene.stage.cancelled


def test_a_cancel_while_idle_in_a_transaction(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, query(b"begin"))
    scene.read(relay)
    relay.cancel()
    assert [] == scene.stage.cancelled


@pytest.mark.parametrize(
    ("data", "discarded"),
    [
        (parse(b"select"), True),
        (parse(b"select") + bind() + FLUSH, True),
        (query(b"copy"), False),
        (query(b"select") + query(b"select")[:4], False),
        (query(b"begin"), False),
    ],
)
def test_a_client_that_vanishes(scene: Scene, data: bytes, discarded: bool) -> None:
    relay = scene.client()
    scene.send(relay, data)
    relay.connection_lost(None)
    assert ([scene.backend] if discarded else []) == scene.stage.discarded
    assert scene.backend.holder is not relay


@pytest.mark.parametrize(
    ("data", "answer", "discarded"),
    [
        (query(b"select") * 2, "TDCZTDCZ", False),
        (execute() + query(b"select"), "E", True),  # the query is skipped: no Sync comes
        (query(b"copy"), "G", True),  # the data never come
        (parse(b"error") + bind() + execute() + SYNC, "12EZ", False),
    ],
)
def test_who_says_terminate_is_answered_and_closed(
    scene: Scene, data: bytes, answer: str, discarded: bool
) -> None:
    relay = scene.client()
    scene.send(relay, data + encode.terminate())
    assert answer == scene.read(relay)
    assert relay.closed
    assert ([scene.backend] if discarded else []) == scene.stage.discarded
    assert scene.free is not discarded


def test_rows_are_counted(scene: Scene) -> None:
    relay = scene.client()
    scene.stage.now = 1.0
    scene.send(relay, query(b"select") + query(b"error"))
    scene.stage.now = 3.0
    scene.read(relay)
    taken = scene.stage.gate.counts.take().counts
    assert [(1, 1, {}), (1, 0, {"22012": 1})] == [(c.calls, c.rows, c.errors) for c in taken]
    assert [2e6, 0.0] == [count.total_us for count in taken]


USE = bind(b"a") + execute() + SYNC


@pytest.mark.parametrize(
    ("first", "then", "answer"),
    [
        (parse(b"select", b"a") + SYNC, USE, "1Z2DCZ"),
        (parse(b"bad") + parse(b"select", b"a") + SYNC, parse(b"", b"a") + USE, "EZ12IZ"),
        (parse(b"select", b"a") + SYNC, parse(b"select", b"a") + SYNC + USE, "1ZEZ2DCZ"),
        (parse(b"bad") + close(b"a") + SYNC, close(b"a") + USE, "EZ3EZ"),
        (query(b"prepare a as select"), query(b"execute a"), "CZTDCZ"),
        (query(b"error;prepare a as select"), query(b"execute a"), "EZEZ"),
        (query(b"prepare a as select"), query(b"deallocate all") + USE, "CZCZEZ"),
        (parse(b"prepare a as select") + bind() + execute() + SYNC, USE, "12CZ2DCZ"),
    ],
)
def test_what_hangs_on_an_unanswered_batch_waits(
    scene: Scene, first: bytes, then: bytes, answer: str
) -> None:
    relay = scene.client()
    sent = scene.send(relay, first + then)
    assert b"execute" not in sent
    assert not sent.endswith(execute() + SYNC) or first.endswith(execute() + SYNC)
    assert answer == scene.read(relay)
    assert scene.free


def test_what_hangs_on_nothing_does_not_wait(scene: Scene) -> None:
    relay = scene.client()
    batch = parse(b"select") + bind() + execute() + SYNC
    assert batch * 3 == scene.send(relay, batch * 3)
    assert "12DCZ" * 3 == scene.read(relay)
    scene.send(relay, parse(b"select", b"a") + SYNC)
    assert "1Z" == scene.read(relay)
    assert 3 == scene.send(relay, USE * 3).count(execute() + SYNC)
    assert "2DCZ" * 3 == scene.read(relay)


def test_who_is_held_may_send_on_and_leave(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"select", b"a") + SYNC + USE[:-3])
    assert b"" == scene.send(relay, USE[-3:] + query(b"select"))
    assert "1Z2DCZTDCZ" == scene.read(relay)
    scene.send(relay, parse(b"select", b"b") + SYNC + bind(b"b") + SYNC + encode.terminate())
    assert "1Z2Z" == scene.read(relay)
    assert relay.closed
    assert scene.free


def test_who_is_closed_by_its_notifications_takes_no_backend(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a request behind the one that is answered; nobody would give the backend back."""
    relay = scene.client()
    scene.send(relay, query(b"select"))
    relay._spill()
    relay._quiet = False
    relay._rest += query(b"select")
    relay._notifications = []
    relay._notifications.append(b"A")
    monkeypatch.setattr(Relay, "_tell", lambda self: self.fatal(QueueTimeout("It is slow.")))
    scene.stage.settle()
    assert relay.closed
    assert scene.free
    assert query(b"select") == bytes(scene.wire.written), "the second was sent, too"


def test_a_long_pipeline_takes_linear_time(scene: Scene) -> None:
    relay = scene.client()
    scene.send(relay, parse(b"select", b"a") + SYNC)
    assert "1Z" == scene.read(relay)
    number = 20_000
    started = time.process_time()
    scene.send(relay, parse(b"", b"b") + (bind(b"a") + execute()) * number + SYNC)
    assert time.process_time() - started < 10.0
    assert number == scene.read(relay).count("2DC")
