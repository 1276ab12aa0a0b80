"""What a script of the differential test is, how it is played, and what replies are compared."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace

from dbopt.wire import messages as m
from tests.integration.gateway_support import Message, Raw, sqlstates

Replies = list[list[Message]]
"""What came back, step by step."""

LARGE = 10_000
"""Bytes from which a payload is compared by its digest."""


@dataclass(frozen=True)
class Step:
    """What to send, and up to which message (types, how many of them) to read on.

    Without types it is read to the end of the stream. `may_end` tells that the connection may
    end before all is sent.
    """

    send: bytes
    kinds: bytes = b"Z"
    count: int = 1
    may_end: bool = False


@dataclass(frozen=True)
class Script:
    """Steps, and where they may be played.

    `state` tells that the session keeps something between transactions which cannot be
    shared, so that nobody else can have its backend. `moves` tells whether the script means
    the same on a backend of which it had none before. `exact` is False where the input is
    bad: then the SQLSTATE and the end of the connection count, and no wording.
    """

    steps: tuple[Step, ...]
    state: bool = False
    moves: bool = True
    exact: bool = True

    @property
    def size(self) -> int:
        """Bytes in all."""
        return sum(len(step.send) for step in self.steps)


Scripts = dict[str, Script]


def steps(*parts: bytes | Step) -> Script:
    """Each part answered by one ReadyForQuery."""
    return Script(tuple(part if isinstance(part, Step) else Step(part) for part in parts))


def batch(*parts: bytes, ready: int = 1) -> Script:
    """All parts at once."""
    return Script((Step(b"".join(parts), b"Z", ready),))


def then(*scripts: Script) -> Script:
    """One after the other."""
    return Script(tuple(step for script in scripts for step in script.steps))


def stateful(*parts: bytes | Step) -> Script:
    """As `steps`, of a session that keeps what cannot be shared."""
    return replace(steps(*parts), state=True)


def bad(*parts: bytes | Step) -> Script:
    """Input that breaks the protocol."""
    script = steps(*parts)
    return replace(
        script, steps=tuple(replace(step, may_end=True) for step in script.steps), exact=False
    )


# Playing


def play(raw: Raw, script: Script, send: Callable[[Raw, bytes], None]) -> Replies:
    """What comes back at each step."""
    return [one_step(raw, step, send) for step in script.steps]


def one_step(raw: Raw, step: Step, send: Callable[[Raw, bytes], None]) -> list[Message]:
    """What comes back."""
    found: list[Message] = []
    with suppress(ConnectionError) if step.may_end else nullcontext():
        send(raw, step.send)
        raw.until(step.kinds, step.count, found)
    return found


def whole(raw: Raw, data: bytes) -> None:
    """Send as it is."""
    raw.send(data)


def bytewise(raw: Raw, data: bytes) -> None:
    """Send each byte alone."""
    raw.send_bytewise(data)


def in_chunks(seed: str) -> Callable[[Raw, bytes], None]:
    """Sends in pieces of random sizes, the same for a seed."""
    generator = random.Random(seed)  # noqa: S311 - it shall repeat

    def send(raw: Raw, data: bytes) -> None:
        sizes = (1, 2, 3, 5, 7, 19, 100) if len(data) < LARGE else (4095, 65536, 900_001)
        position = 0
        while position < len(data):
            size = generator.choice(sizes)
            raw.send(data[position : position + size])
            position += size

    return send


# Comparing


def compared(script: Script, replies: Replies) -> list[object]:
    """Of replies, what must be equal."""
    if script.exact:
        return [[normal(message) for message in ordered(step)] for step in replies]
    states = [state for step in replies for state in sqlstates(step)]
    return [states[:1] or ["08P01"]]  # the server closes some without a word


def ordered(step: list[Message]) -> list[Message]:
    """Notifications last: when they come among the others is left open."""
    return sorted(step, key=lambda message: message[0] == b"A")


def normal(message: Message) -> Message:
    """Without what may differ: names of the gateway's own, pids, OIDs of tables made anew."""
    kind, payload = message
    if kind in b"EN":
        payload = _report(payload)
    elif kind == b"T":
        payload = _row_description(payload)
    elif kind == b"A":
        payload = payload[4:]  # the pid of the session that notified
    if len(payload) > LARGE:
        payload = b"%d bytes, " % len(payload) + hashlib.sha256(payload).hexdigest().encode()
    return kind, payload


def _report(payload: bytes) -> bytes:
    """An error or notice, without where in its source the server raised it.

    That differs where the gateway has to parse a statement first. How a connection ends, the
    gateway tells in words of its own.
    """
    fields = m.ErrorResponse.parse(payload).fields
    if fields.get("S") == b"FATAL":
        return b"FATAL " + fields["C"]
    kept = [value for name, value in fields.items() if name not in "FLR"]
    return re.sub(rb'prepared statement "[^"]*"', b'prepared statement "?"', b"\n".join(kept))


def _row_description(payload: bytes) -> bytes:
    found = payload[:2]
    position = 2
    while position < len(payload):
        end = payload.index(0, position) + 1
        found += payload[position:end] + b"\0\0\0\0" + payload[end + 4 : end + 18]
        position = end + 18
    return found
