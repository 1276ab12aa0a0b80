"""Damaged captures of real traffic are read, or refused with the one error that may come."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from dbopt.errors import ProtocolError
from dbopt.wire import scan
from dbopt.wire.codec import BackendDecoder, Decoder, FrontendDecoder
from tests.fuzz.corpus import captures, sessions
from tests.fuzz.mutate import MOST, again, case, mutated, numbers, pieces, window

SHORT, LONG = 700, 60_000
"""Cases of each direction; a case has ten messages or so."""
PATH = "tests/fuzz/test_fuzz_codec.py::test_"
REFUSALS = ("", "08P01", "0A000")
"""How a stream ends: read, a protocol violation, or another major version of the protocol."""
LENGTHS = [SHORT, pytest.param(LONG, marks=[pytest.mark.fuzz, pytest.mark.timeout(1800)])]


def read(decoder: Decoder[Any], chunks: list[bytes]) -> tuple[list[Any], str]:
    """The events, and the error that ended them."""
    events: list[Any] = []
    try:
        for chunk in chunks:
            decoder.receive_data(chunk)
            events.extend(iter(decoder.next_event, None))
        decoder.receive_eof()
        events.extend(decoder)
    except ProtocolError as error:
        return events, f"{error.sqlstate} {error}"
    return events, ""


def check(make: Callable[[], Decoder[Any]], messages: list[bytes], chance: random.Random) -> int:
    """However the stream comes, the events are the same; gives the number of messages."""
    stream = b"".join(messages)
    found = read(make(), [stream])
    assert found[1][:5] in REFUSALS, found[1]
    assert found == read(make(), pieces(chance, stream))
    if len(stream) < 2000:
        assert found == read(make(), [stream[i : i + 1] for i in range(len(stream))])
    return len(messages)


def opened() -> FrontendDecoder:
    """A decoder of a client that has logged in."""
    decoder = FrontendDecoder()
    decoder.receive_data(sessions()[0].opening[-1])
    assert next(iter(decoder)) is not None
    decoder.authenticated()
    return decoder


def frontend(chance: random.Random) -> int:
    """A client's messages after its login."""
    capture = chance.choice(sessions())
    found = mutated(chance, window(chance, capture.client), sessions())
    scanned(found)
    return check(opened, found, chance)


def startup(chance: random.Random) -> int:
    """A client from its first byte on: packets without a type are damaged too."""
    capture = chance.choice(captures())
    found = [*capture.opening, *capture.client[:MOST]]
    return check(FrontendDecoder, mutated(chance, found, sessions()), chance)


def backend(chance: random.Random) -> int:
    """A server's messages."""
    capture = chance.choice(sessions())
    found = mutated(chance, window(chance, capture.server), sessions(), server=True)
    scanned(found)
    return check(BackendDecoder, found, chance)


def scanned(found: list[bytes]) -> None:
    """scan.messages finds what lies in the buffer, and nothing beyond it."""
    stream = b"".join(found)
    last = 0
    with suppress(ProtocolError):
        for _, start, end in scan.messages(stream):
            assert last == start < end <= len(stream)
            last = end


@pytest.mark.parametrize("cases", LENGTHS)
@pytest.mark.parametrize("kind", [frontend, startup, backend])
def test_codec(
    kind: Callable[[random.Random], int], cases: int, record_property: Callable[[str, int], None]
) -> None:
    seen: Counter[str] = Counter()
    for number in numbers(cases):
        try:
            seen["messages"] += kind(case(number))
        except BaseException:
            print(again(f"{PATH}codec[{kind.__name__}-{cases}]", [number]))
            raise
        seen["cases"] += 1
    record_property("messages", seen["messages"])
    print(f"fuzz codec {kind.__name__}: {dict(seen)}")
