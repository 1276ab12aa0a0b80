"""The link between a worker and the control process: frames (dbopt.frames) on a unix socket pair.

Either side that meets what it cannot read closes the link.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec

from dbopt import frames
from dbopt.observation import (
    Repeated,
    SlowStatement,
    StatementCount,
    TransactionCount,
    WorkerSnapshot,
)
from dbopt.settings import Settings
from dbopt.verdict import Question, Refusal, Verdict

MAX_FRAME = 64 << 20


class Start(msgspec.Struct, tag="start", frozen=True):
    """Control → worker: begin. `listeners` are inherited file descriptors."""

    number: int
    settings: Settings
    listeners: list[int]
    mock_key: bytes


class Reload(msgspec.Struct, tag="reload", frozen=True):
    """Control → worker: these settings from now on."""

    settings: Settings


class Drain(msgspec.Struct, tag="drain", frozen=True):
    """Control → worker: take no new clients, let transactions end, and exit."""

    timeout: float


class Ready(msgspec.Struct, tag="ready", frozen=True):
    """Worker → control: it listens."""

    pid: int


class Observed(msgspec.Struct, tag="observed", frozen=True):
    """Worker → control: what it counted since the last, and how it is."""

    counts: list[StatementCount]
    slow: list[SlowStatement]
    snapshot: WorkerSnapshot
    refusals: list[Refusal] = []
    transactions: list[TransactionCount] = []
    repeated: list[Repeated] = []
    spans: list[SlowStatement] = []


class Cancelled(msgspec.Struct, tag="cancelled", frozen=True):
    """Either way: a CancelRequest for a client that another worker may have."""

    pid: int
    secret: bytes


class Asked(msgspec.Struct, tag="asked", frozen=True):
    """Worker → control: the guard's question with this number."""

    number: int
    question: Question


class Answered(msgspec.Struct, tag="answered", frozen=True):
    """Control → worker: the verdict for the question with this number."""

    number: int
    verdict: Verdict


class Forget(msgspec.Struct, tag="forget", frozen=True):
    """Control → worker: ask anew about these fingerprints; about all where there are none."""

    fingerprints: list[int]


ToWorker = Start | Reload | Drain | Cancelled | Answered | Forget
ToControl = Ready | Observed | Cancelled | Asked


def frame(message: ToWorker | ToControl) -> bytes:
    """The bytes of one message."""
    return frames.frame(message)


async def read_to_worker(reader: asyncio.StreamReader) -> AsyncIterator[ToWorker]:
    """The messages of the control process, until it closes the link."""
    decode = msgspec.msgpack.Decoder[ToWorker](ToWorker).decode
    async for body in frames.bodies(reader, MAX_FRAME):
        yield decode(body)


async def read_to_control(reader: asyncio.StreamReader) -> AsyncIterator[ToControl]:
    """The messages of a worker, until it closes the link."""
    decode = msgspec.msgpack.Decoder[ToControl](ToControl).decode
    async for body in frames.bodies(reader, MAX_FRAME):
        yield decode(body)
