"""Damaged captures through the real Relay to a model server: no I/O, so many and exact.

However the bytes come, what the client is told is one stream of whole messages; garbage is
refused with a FATAL 08P01, and the next client on the backend has its own answer.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import pytest

from dbopt.errors import ProtocolError
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.fuzz.corpus import sessions
from tests.fuzz.hostile import probe, verdict
from tests.fuzz.mutate import again, case, mutated, numbers, pieces, window
from tests.unit.gateway.model_server import COLUMNS, ROW, ModelServer
from tests.unit.gateway.stage import Stage, told, wire_of

SHORT, LONG = 700, 60_000
LENGTHS = [SHORT, pytest.param(LONG, marks=[pytest.mark.fuzz, pytest.mark.timeout(1800)])]
PATH = "tests/fuzz/test_fuzz_relay.py::test_relay"
HONEST = COLUMNS + ROW + m.CommandComplete(b"SELECT 1").encode() + m.ReadyForQuery(0x49).encode()
PROBE = probe(1)[0]
_ERRORS = re.compile(rb"/ ?0|nowhere")
_WORDS = {b"end": b"commit", b"set": b"select", b"copy": b"select"}


def simplified(sql: bytes) -> bytes:
    """A statement of a capture in the model's few words."""
    sql = sql.strip().lower()
    if sql.startswith(b"copy") and b"stdin" in sql:
        return b"copy"
    if _ERRORS.search(sql):
        return b"error"
    if sql.startswith(b"deallocate all"):
        return b"deallocate all"
    word = re.split(rb"\W", sql, maxsplit=1)[0]
    return _WORDS.get(word, word)


class FuzzedServer(ModelServer):
    """The model as PostgreSQL takes garbage: an error or the end of the connection."""

    dead = False

    def _message(self, kind: int, payload: bytes) -> None:
        assert kind in b"QPBDECFSHdcfX", f"the gateway passed on a message of type {kind:#x}"
        if self.dead:
            return
        try:
            if kind in b"QP" and not self._copying and b"set_config" not in payload:
                payload = self._simple(kind, payload)
            super()._message(kind, payload)
        except ProtocolError:
            if not self._skipping:
                self._fail(kind, "08P01")
        except AssertionError:
            # "terminating connection because protocol synchronization was lost" (pqcomm.c)
            self.out += encode.error_fields("FATAL", "08P01", "synchronization was lost")
            self.dead = True

    def _simple(self, kind: int, payload: bytes) -> bytes:
        if b"pg_my_temp_schema" in payload:
            return b"\0"  # the gateway asks what the session holds: nothing
        if kind == types.F_QUERY:
            parts = m.Query.parse(payload).text.rstrip(b"; \n").split(b";")
            return b";".join(map(simplified, parts)) + b"\0"
        found = m.Parse.parse(payload)
        return m.Parse(found.name, simplified(found.sql), found.oids).encode()[5:]


def staged() -> Stage:
    """A stage with one backend."""
    stage = Stage(1)
    for backend in stage.backends:
        wire_of(backend).server = FuzzedServer("gateway")
    return stage


def settle(stage: Stage) -> None:
    """Deliver all; the end of the connection too."""
    stage.settle()
    for backend in stage.backends:
        dead = cast(FuzzedServer, wire_of(backend).server).dead
        if dead and not backend.closed and backend not in stage.discarded:
            backend.connection_lost(None)


def send(chunks: list[bytes]) -> tuple[Stage, bytes, bool]:
    """What a client that sends these is told, and whether it is closed."""
    stage = staged()
    relay = stage.client()
    for chunk in chunks:
        if chunk and not relay.closed:
            relay.data_received(chunk)
            settle(stage)
    answer, closed = told(relay), relay.closed
    if not closed:
        relay.connection_lost(None)
        settle(stage)
    return stage, answer, closed


def shape(answer: bytes) -> list[bytes]:
    """The types of the messages; they fill the stream to its end."""
    found = [(answer[start : start + 1], end) for _, start, end in scan(answer)]
    assert len(answer) == (found[-1][1] if found else 0), "the client is left within a message"
    return [kind for kind, _ in found]


def comparable(answer: bytes) -> bytes:
    """The part that does not hang on how the bytes came: up to the first error.

    A Parse that is pipelined behind an error is skipped; if a later batch of the pipeline names
    its statement, the gateway, which does not know of the error yet, prepares it for the client.
    """
    kinds = [kind for kind, _, _ in scan(answer)]
    at = kinds.index(types.B_ERROR) if types.B_ERROR in kinds else len(kinds)
    return answer[: sum(end - start for _, start, end in [*scan(answer)][: at + 1])]


def parses(data: bytes) -> bool:
    """Whether there is a Parse in it."""
    with suppress(ProtocolError):
        return any(kind == types.F_PARSE for kind, _, _ in scan(data))
    return False


def one_case(chance: random.Random, data: bytes) -> str:
    """Checks one case; gives its verdict."""
    expected = verdict(data)
    if expected == "answer":
        data += PROBE
    results = [send([data]), send(pieces(chance, data))]
    if len(data) < 500:
        results.append(send([data[i : i + 1] for i in range(len(data))]))
    for stage, answer, closed in results:
        kinds = shape(answer)
        if expected == "close":
            assert closed
            assert b"E" == kinds[-1]
            assert b"VFATAL\0C08P01\0" in answer
        assert expected != "answer" or closed or answer.endswith(HONEST), "it is stuck"
        honest(stage)
    # What is skipped after an error is not looked at: so whether it is refused hangs on the time.
    # And who says Terminate is not told what he did not wait for.
    if not any(closed for _, _, closed in results):
        answers = {answer for _, answer, _ in results}
        assert 1 == len(set(map(comparable, answers)) if parses(data) else answers)
    return f"{expected}: {'closed' if results[0][2] else 'answered'}"


def honest(stage: Stage) -> None:
    """The next client on the backend, if it is given on, is answered as if it were alone."""
    if stage.discarded:
        return
    assert {id(backend) for backend in stage.backends} == {id(backend) for backend in stage.free}
    server = wire_of(stage.backends[0]).server
    server._status = b"I"  # psycopg_pool rolls back
    relay = stage.client()
    relay.data_received(m.Query(b"select").encode())
    stage.settle()
    assert HONEST == told(relay)


@pytest.mark.parametrize("cases", LENGTHS)
def test_relay(cases: int, record_property: Callable[[str, int], None]) -> None:
    seen: Counter[str] = Counter()
    for number in numbers(cases):
        chance = case(number)
        found = mutated(chance, window(chance, chance.choice(sessions()).client), sessions())
        try:
            seen[one_case(chance, b"".join(found))] += 1
        except BaseException:
            print(again(f"{PATH}[{cases}]", [number]), [part[:60] for part in found])
            raise
        seen["messages"] += len(found)
    record_property("messages", seen["messages"])
    print(f"fuzz relay: {dict(seen)}")
