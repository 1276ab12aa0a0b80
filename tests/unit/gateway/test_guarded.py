"""Guarded: who waits for a verdict or the lane, and what too many rows lead to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import wraps
from itertools import pairwise
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.errors import QueueTimeout
from dbopt.gateway import request as kinds
from dbopt.gateway.naming import FAILING_MESSAGE, FLUSH, REFUSED
from dbopt.gateway.relay import Relay
from dbopt.gateway.request import Request
from dbopt.verdict import Verdict
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.support import examples
from tests.unit.gateway.guard_stage import GuardStage
from tests.unit.gateway.stage import Wire, told, wire_of
from tests.unit.gateway.test_downstream import ERROR, NOTICE, READY, Side, tag

SYNC = m.Sync().encode()
QUERY = encode.query
NO = Verdict(refused=True, rule="complexity", sqlstate="54001", message="Too complex.")
HEAVY = Verdict(heavy=True)


def in_a_loop(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @wraps(test)
    def run(*given: Any, **named: Any) -> None:
        asyncio.run(test(*given, **named))  # type: ignore[arg-type]

    return run


def run(sql: bytes) -> bytes:
    return (
        m.Parse(b"", sql).encode()
        + m.Bind(b"", b"", (), (), ()).encode()
        + m.Execute(b"", 0).encode()
    )


class Scene:
    def __init__(self, backends: int = 1, limit: int = 1, **guard: Any) -> None:
        self.stage = GuardStage(backends, limit, **guard)
        self._read: dict[Relay, int] = {}

    def client(self) -> Relay:
        return self.stage.client()

    def read(self, relay: Relay) -> str:
        """The types of the messages that the client is told since the last look."""
        self.stage.settle()
        data = told(relay)
        start, self._read[relay] = self._read.get(relay, 0), len(data)
        return bytes(kind for kind, _, _ in scan(data[start:])).decode()

    def send(self, relay: Relay, data: bytes, verdict: Verdict | None = None) -> str:
        relay.data_received(data)
        while verdict is not None and self.stage.questions:
            self.stage.answer(verdict)
        return self.read(relay)

    @property
    def lane(self) -> tuple[int, int]:
        """How many are inside, and wait."""
        return self.stage.lane.inside, len(self.stage.lane.waiting)

    @property
    def at_rest(self) -> bool:
        return len(self.stage.free) == len(self.stage.backends) and self.lane == (0, 0)


# A verdict is waited for


@in_a_loop
async def test_no_backend_is_held_while_a_verdict_is_waited_for() -> None:
    scene = Scene()
    relay = scene.client()
    assert "" == scene.send(relay, QUERY(b"select"))
    assert scene.at_rest
    scene.stage.answer(Verdict())
    assert "TDCZ" == scene.read(relay)
    assert scene.at_rest


@in_a_loop
async def test_one_with_settings_of_its_own_holds_none_either() -> None:
    scene = Scene()
    relay = scene.stage.client("mars")
    assert "TDCZ" == scene.send(relay, QUERY(b"select"), Verdict())
    relay.data_received(run(b"select") + run(b"select 1, 2") + SYNC)
    scene.stage.answer(Verdict())
    assert "12DC12DCZ" == scene.read(relay)
    assert scene.at_rest


@pytest.mark.parametrize("size", [1, 3, 1000])
@in_a_loop
async def test_what_comes_meanwhile_is_kept_in_order(size: int) -> None:
    scene = Scene()
    relay = scene.client()
    data = QUERY(b"select") + run(b"select 1, 2") + SYNC + QUERY(b"begin") + QUERY(b"rollback")
    for start in range(0, len(data), size):
        relay.data_received(data[start : start + size])
    while scene.stage.questions:
        scene.stage.answer(Verdict())
        scene.stage.settle()
    assert "TDCZ12DCZCZCZ" == scene.read(relay)
    assert scene.at_rest


@in_a_loop
async def test_a_client_that_floods_meanwhile_is_read_no_more() -> None:
    scene = Scene()
    relay = scene.client()
    wire = cast(Wire, relay.transport)
    relay.data_received(QUERY(b"select 1"))
    while wire.reading:
        relay.data_received(QUERY(b"select '" + b"x" * 100_000 + b"'"))
    while scene.stage.questions:
        scene.stage.answer(Verdict())
        scene.stage.settle()
    assert wire.reading


@pytest.mark.parametrize("backends", [1, 2])
@in_a_loop
async def test_a_client_that_leaves_meanwhile_leaves_nothing(backends: int) -> None:
    scene = Scene(backends)
    relay = scene.client()
    scene.send(relay, QUERY(b"select"))
    relay.connection_lost(None)
    scene.stage.answer(HEAVY)
    assert (b"", True) == (told(relay), scene.at_rest)


@in_a_loop
async def test_terminate_behind_it_lets_it_run() -> None:
    scene = Scene()
    relay = scene.client()
    scene.send(relay, QUERY(b"select") + m.Terminate().encode())
    scene.stage.answer(Verdict())
    assert "TDCZ" == scene.read(relay)
    assert relay.closed
    assert scene.at_rest


@in_a_loop
async def test_a_cancel_tells_it_and_a_late_answer_is_not_for_the_next() -> None:
    scene = Scene()
    relay = scene.client()
    scene.send(relay, QUERY(b"select"))
    relay.cancel()
    assert "EZ" == scene.read(relay)
    assert "" == scene.send(relay, QUERY(b"select 1, 2"))
    scene.stage.answer(Verdict())  # the first question's
    assert "" == scene.read(relay)
    scene.stage.answer(Verdict())
    assert "TDCZ" == scene.read(relay)


@in_a_loop
async def test_a_late_answer_leaves_a_request_on_the_express_way_alone() -> None:
    scene = Scene()
    relay = scene.client()
    assert "TDCZ" == scene.send(relay, QUERY(b"select 1"), Verdict())
    scene.send(relay, QUERY(b"select"))
    relay.cancel()
    assert "EZ" == scene.read(relay)
    relay.data_received(QUERY(b"select 1"))
    scene.stage.answer(Verdict())
    assert not scene.at_rest
    assert "TDCZ" == scene.read(relay)
    assert scene.at_rest


@in_a_loop
async def test_a_server_lost_meanwhile_within_a_transaction_closes_the_client() -> None:
    scene = Scene()
    relay = scene.client()
    assert "CZ" == scene.send(relay, QUERY(b"begin"), Verdict())
    scene.send(relay, QUERY(b"select"))
    relay.server_lost()
    assert "E" == scene.read(relay)
    assert relay.closed
    scene.stage.answer(Verdict())
    assert scene.at_rest


@in_a_loop
async def test_a_drain_tells_who_waits_for_a_verdict() -> None:
    scene = Scene()
    relay = scene.client()
    scene.send(relay, QUERY(b"select"))
    relay.drain()
    assert "E" == scene.read(relay)
    scene.stage.answer(Verdict())
    assert relay.closed
    assert scene.at_rest


@in_a_loop
async def test_an_end_of_the_guard_lets_go() -> None:
    scene = Scene()
    relay = scene.client()
    scene.send(relay, QUERY(b"select"))
    scene.stage.gate.counts.watch_with(lambda _: None)
    scene.stage.answer(NO)
    assert "TDCZ" == scene.read(relay)


@in_a_loop
async def test_a_verdict_forgotten_before_it_came_is_asked_for_anew() -> None:
    scene = Scene()
    relay = scene.client()
    scene.send(relay, QUERY(b"select"))
    scene.stage.guard.forget([])
    scene.stage.answer(NO)
    assert "" == scene.read(relay)
    scene.stage.answer(Verdict())
    assert "TDCZ" == scene.read(relay)


# Refused


@in_a_loop
async def test_who_is_in_no_transaction_is_refused_without_a_backend() -> None:
    scene = Scene(backends=0)
    relay = scene.client()
    assert "EZ" == scene.send(relay, QUERY(b"select"), NO)
    (count,) = [c for c in relay._scope.by_fingerprint.values() if c.calls]
    assert ({"54001": 1}, 1) == (count.errors, count.calls)
    assert [1] == [refusal.calls for refusal in scene.stage.guard.take()]
    assert scene.stage.now == relay._sent, "it is not idle"
    assert ["54001"] == [event.sqlstate for event in count.scope.counts.take().slow]


@in_a_loop
async def test_it_ends_the_unnamed_statement() -> None:
    scene = Scene()
    relay = scene.client()
    scene.send(relay, m.Parse(b"", b"select").encode() + SYNC, Verdict())
    scene.send(relay, QUERY(b"select 1, 2"), NO)
    assert relay._upstream.unnamed is None


# The lane


@in_a_loop
async def test_a_heavy_one_waits_for_the_lane_and_a_light_one_does_not() -> None:
    scene = Scene(backends=3)
    one, two, light = scene.client(), scene.client(), scene.client()
    assert "CZ" == scene.send(one, QUERY(b"begin"), HEAVY)
    assert "" == scene.send(two, QUERY(b"select"), HEAVY)
    assert (1, 1) == scene.lane
    assert "TDCZ" == scene.send(light, QUERY(b"select 1, 2"), Verdict())
    assert "CZ" == scene.send(one, QUERY(b"rollback"))
    assert "TDCZ" == scene.read(two)
    assert scene.at_rest


@in_a_loop
async def test_within_a_transaction_it_is_let_in_beyond_the_limit() -> None:
    scene = Scene(backends=3)
    one, two = scene.client(), scene.client()
    scene.send(one, QUERY(b"begin"), Verdict())
    scene.send(two, QUERY(b"begin"))
    for relay in (one, two):
        assert "TDCZ" == scene.send(relay, QUERY(b"select"), HEAVY)
    assert (2, 0) == scene.lane
    scene.send(one, QUERY(b"rollback"))
    scene.send(two, QUERY(b"rollback"))
    assert scene.at_rest


Way = Callable[[Scene, Relay], None]
WAYS: dict[str, Way] = {
    "it leaves": lambda scene, relay: relay.connection_lost(None),
    "a cancel": lambda scene, relay: (relay.cancel(), None)[1],
    "a close": lambda scene, relay: relay.close(),
}


@pytest.mark.parametrize("way", WAYS)
@in_a_loop
async def test_who_waits_no_longer_gives_up_its_turn(way: str) -> None:
    scene = Scene(backends=3)
    one, two, three = scene.client(), scene.client(), scene.client()
    scene.send(one, QUERY(b"begin"), HEAVY)
    for relay in (two, three):
        scene.send(relay, QUERY(b"select"), HEAVY)
    WAYS[way](scene, two)
    assert (1, 1) == scene.lane
    scene.send(one, QUERY(b"rollback"))
    assert "TDCZ" == scene.read(three)
    assert scene.at_rest


@pytest.mark.parametrize("way", ["it leaves", "a close"])
@in_a_loop
async def test_who_is_inside_and_leaves_lets_the_next_in(way: str) -> None:
    scene = Scene(backends=3)
    one, two = scene.client(), scene.client()
    scene.send(one, QUERY(b"begin"), HEAVY)
    scene.send(two, QUERY(b"select"), HEAVY)
    WAYS[way](scene, one)
    assert "TDCZ" == scene.read(two)
    assert (0, 0) == scene.lane


@in_a_loop
async def test_who_is_inside_and_waits_for_a_backend_may_be_cancelled() -> None:
    scene = Scene(backends=1, limit=2)
    one, two = scene.client(), scene.client()
    scene.send(one, QUERY(b"begin"), Verdict())
    scene.send(two, QUERY(b"select"), HEAVY)
    assert ((1, 0), [two]) == (scene.lane, scene.stage.waiting)
    two.cancel()
    assert ("EZ", (0, 0), []) == (scene.read(two), scene.lane, scene.stage.waiting)


@in_a_loop
async def test_a_backend_that_does_not_come_ends_its_place() -> None:
    scene = Scene(backends=0, limit=2)
    relay = scene.client()
    scene.send(relay, QUERY(b"select"), HEAVY)
    scene.stage.waiting.remove(relay)
    relay.refused(QueueTimeout("Too long."))
    assert ("EZ", (0, 0)) == (scene.read(relay), scene.lane)


@in_a_loop
async def test_a_full_queue_refuses_at_once() -> None:
    scene = Scene(backends=3)
    scene.stage.route = replace(scene.stage.route, max_queue=1)
    one, two, three = scene.client(), scene.client(), scene.client()
    scene.send(one, QUERY(b"begin"), HEAVY)
    assert ["", "EZ"] == [scene.send(r, QUERY(b"select"), HEAVY) for r in (two, three)]
    assert ((1, 1), 1) == (scene.lane, scene.stage.queue_refusals)


@in_a_loop
async def test_a_verdict_forgotten_while_it_waits_is_asked_for_again() -> None:
    scene = Scene(backends=3)
    one, two = scene.client(), scene.client()
    scene.send(one, QUERY(b"begin"), HEAVY)
    scene.send(two, QUERY(b"select"), HEAVY)
    scene.stage.guard.forget([])
    one.connection_lost(None)
    assert ((0, 0), 1) == (scene.lane, len(scene.stage.questions))
    scene.stage.answer(HEAVY)
    assert "TDCZ" == scene.read(two)
    assert (0, 0) == scene.lane


@in_a_loop
async def test_a_server_that_is_lost_ends_its_place() -> None:
    scene = Scene(backends=2)
    relay = scene.client()
    relay.data_received(QUERY(b"select"))
    scene.stage.answer(HEAVY)
    assert (1, 0) == scene.lane
    relay.server_lost()
    assert (0, 0) == scene.lane


# Too many rows


COUNTED = Verdict(max_rows=1)
TWO_ROWS = QUERY(b"select;select")


@in_a_loop
async def test_what_ended_well_before_its_cancel_fails_once_that_is_over() -> None:
    scene = Scene()
    relay = scene.client()
    relay.data_received(TWO_ROWS)
    scene.stage.answer(COUNTED)
    (backend,) = scene.stage.backends
    ready = wire_of(backend).server.out.rindex(b"Z\0\0\0\5")
    scene.stage.deliver(backend, ready)  # not the ReadyForQuery: the server seems to run on
    assert [backend] == scene.stage.cancelled
    before = bytes(wire_of(backend).written)
    scene.stage.settle()
    assert before == bytes(wire_of(backend).written), "the cancel could hit what is sent now"
    scene.stage.landings[0].land()
    assert before + QUERY(REFUSED) == bytes(wire_of(backend).written)
    assert "TDCTEZ" == scene.read(relay)
    assert b"54000" in told(relay)
    assert scene.at_rest
    assert "TDCZ" == scene.send(relay, QUERY(b"select"), Verdict())


@in_a_loop
async def test_what_is_known_to_have_ended_is_not_cancelled() -> None:
    scene = Scene()
    relay = scene.client()
    assert "TDCTEZ" == scene.send(relay, TWO_ROWS, COUNTED)
    assert [] == scene.stage.cancelled
    assert [("max-rows", 1)] == [(r.rule, r.calls) for r in scene.stage.guard.take()]


@pytest.mark.parametrize("part", [40, 10_000])
@in_a_loop
async def test_who_leaves_meanwhile_leaves_a_backend_that_can_be_shared(part: int) -> None:
    scene = Scene()
    relay, next_ = scene.client(), scene.client()
    relay.data_received(TWO_ROWS)
    scene.stage.answer(COUNTED)
    (backend,) = scene.stage.backends
    out = wire_of(backend).server.out
    scene.stage.deliver(backend, min(part, out.rindex(b"Z\0\0\0\5")))
    if part > 40:
        scene.stage.settle()
    relay.connection_lost(None)
    for landing in scene.stage.landings:
        landing.land()
    scene.stage.settle()
    assert scene.at_rest
    assert "TDCZ" == scene.send(next_, QUERY(b"select"), Verdict())


@in_a_loop
async def test_a_server_lost_while_rows_are_counted_paces_nothing_after() -> None:
    scene = Scene()
    relay = scene.client()
    relay.data_received(QUERY(b"select"))
    scene.stage.answer(COUNTED)
    relay.server_lost()
    assert "EZ" == scene.read(relay)
    assert "TDCZ" == scene.send(relay, QUERY(b"select"))
    assert "TDCZTDCZ" == scene.send(relay, QUERY(b"select") * 2)
    assert scene.at_rest


# Rows, wherever a chunk ends


ROW = m.DataRow((b"x" * 9,)).encode()
COLUMNS = m.RowDescription(()).encode()
SUSPENDED = m.PortalSuspended().encode()
COPY_IN, COPY_OUT = b"G\0\0\0\7\0\0\0", b"H\0\0\0\7\0\0\0"
SETTING = encode.parameter_status("TimeZone", "UTC")


def counted(kind: int, most: int = 2) -> tuple[Side, Request]:
    side = Side(kind) if kind == kinds.QUERY else Side(kind, kinds.SYNC)
    request = side.ledger.requests[0]
    request.max_rows = most
    side.ledger.limited = request
    return side, request


REPLIES = {
    "two": (kinds.QUERY, COLUMNS + ROW * 2 + tag(b"SELECT 2") + READY, None, b""),
    "three": (
        kinds.QUERY, COLUMNS + ROW * 3 + tag(b"SELECT 3") + READY, COLUMNS + ROW * 2,
        QUERY(REFUSED),
    ),
    "several": (
        kinds.QUERY,
        COLUMNS + ROW * 3 + tag(b"SELECT 3") + COLUMNS + ROW + tag(b"SELECT 1") + COPY_OUT
        + m.CopyData(b"1").encode() + m.CopyDone().encode() + tag(b"COPY 1")
        + m.EmptyQueryResponse().encode() + READY,
        COLUMNS + ROW * 2, QUERY(REFUSED),
    ),
    "a notice": (
        kinds.QUERY, COLUMNS + ROW * 3 + NOTICE + SETTING + tag(b"SELECT 3") + READY,
        COLUMNS + ROW * 2 + NOTICE + SETTING, QUERY(REFUSED),
    ),
    "copy in": (
        kinds.QUERY, COLUMNS + ROW * 3 + tag(b"SELECT 3") + COPY_IN, COLUMNS + ROW * 2,
        m.CopyFail(REFUSED).encode(),
    ),
    "an error": (kinds.QUERY, ROW * 3 + ERROR + READY, ROW * 2 + ERROR + READY, b""),
    "extended": (kinds.EXECUTE, ROW * 3 + tag(b"SELECT 3"), ROW * 2, FAILING_MESSAGE + FLUSH),
    "a portal": (kinds.EXECUTE, ROW * 3 + SUSPENDED, ROW * 2, FAILING_MESSAGE + FLUSH),
    "a portal of two": (kinds.EXECUTE, ROW * 2 + SUSPENDED, None, b""),
}  # fmt: skip


@pytest.mark.parametrize("name", REPLIES)
def test_rows_are_dropped_at_each_byte_that_a_chunk_may_end(name: str) -> None:
    kind, data, expected, late = REPLIES[name]
    for cut in range(len(data) + 1):
        side, request = counted(kind)
        found = side.told(data[:cut]) + side.told(data[cut:])
        assert (data if expected is None else expected, late) == (found, side.downstream.late)
        assert side.downstream.at_boundary
        assert (late != b"") is request.over


@settings(max_examples=examples(200), deadline=None)
@given(name=st.sampled_from([*REPLIES]), cuts=st.lists(st.integers(0, 300), max_size=12))
def test_however_it_is_split_the_client_is_told_the_same(name: str, cuts: list[int]) -> None:
    kind, data, expected, late = REPLIES[name]
    side, _ = counted(kind)
    places = [0, *sorted(cut % len(data) for cut in cuts), len(data)]
    parts = (data[a:b] for a, b in pairwise(places))
    found = b"".join(side.told(part) for part in parts if part)
    assert (data if expected is None else expected, late) == (found, side.downstream.late)


def test_replies_to_the_gateways_own_are_not_counted() -> None:
    side = Side(kinds.SETTINGS, kinds.QUERY)
    request = side.ledger.requests[1]
    request.max_rows, side.ledger.limited = 2, request
    hidden = COLUMNS + ROW * 5 + tag(b"SELECT 5") + READY
    assert b"" == side.told(hidden, 7)
    assert ROW * 2 + tag(b"SELECT 2") + READY == side.told(ROW * 2 + tag(b"SELECT 2") + READY, 3)
    assert (False, 2) == (request.over, request.returned)
