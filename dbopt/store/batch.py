"""Batch: what shall be stored together, and its bytes in the spool. PURE."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from dbopt.observation import SlowStatement
from dbopt.store.frame import Event, Frame, Key, Target, Values
from dbopt.store.plans import PlanRecord
from dbopt.store.slow import SlowEntry
from dbopt.store.text import plain_json

LARGEST = 256 << 20
"""Bytes that one batch of the spool may unpack to."""
_INT64 = (1 << 63) - 1
_Pairs = list[tuple[list[int | str], list[int | None]]]


@dataclass(frozen=True, slots=True)
class Batch:
    """What shall be stored together. `texts` are redacted statements by fingerprint."""

    frames: tuple[Frame, ...] = ()
    texts: Mapping[int, str] = field(default_factory=dict)
    slow: tuple[SlowEntry, ...] = ()
    plans: tuple[PlanRecord, ...] = ()
    events: tuple[Event, ...] = ()

    @property
    def size(self) -> int:
        """How many things it holds; an entity of a frame is one."""
        entities = sum(1 + len(frame.changed) + len(frame.base) for frame in self.frames)
        return entities + len(self.texts) + len(self.slow) + len(self.plans) + len(self.events)

    def pieces(self) -> Iterator[Batch]:
        """Each frame, slow statement, plan and event by itself; texts first."""
        if self.texts:
            yield Batch(texts=self.texts)
        yield from (Batch(frames=(frame,)) for frame in self.frames)
        yield from (Batch(slow=(entry,)) for entry in self.slow)
        yield from (Batch(plans=(plan,)) for plan in self.plans)
        yield from (Batch(events=(event,)) for event in self.events)


def joined(batches: Iterable[Batch]) -> Batch:
    """One batch of several, in order."""
    found = list(batches)
    return Batch(
        tuple(frame for batch in found for frame in batch.frames),
        {number: text for batch in found for number, text in batch.texts.items()},
        tuple(entry for batch in found for entry in batch.slow),
        tuple(plan for batch in found for plan in batch.plans),
        tuple(event for batch in found for event in batch.events),
    )


class _Frame(msgspec.Struct, array_like=True):
    server: str
    database: str
    view: str
    at: datetime
    seconds: float
    counters: tuple[str, ...]
    gauges: tuple[str, ...]
    changed: _Pairs
    base: _Pairs
    gone: list[list[int | str]]
    labels: list[tuple[list[int | str], dict[str, Any]]]
    reset: bool
    additive: bool


class _Slow(msgspec.Struct, array_like=True):
    statement: SlowStatement
    plan: dict[str, Any] | None
    shape: str
    waits: dict[str, int]
    server: str


class _Plan(msgspec.Struct, array_like=True):
    server: str
    database: str
    fingerprint: int
    shape: str
    first_seen: datetime
    last_seen: datetime
    source: str
    times: int
    cost: float | None
    best_ms: float | None
    worst_ms: float | None
    json: dict[str, Any]


class _Event(msgspec.Struct, array_like=True):
    at: datetime
    server: str
    database: str
    kind: str
    object: str
    message: str
    data: dict[str, Any]


class _Batch(msgspec.Struct, array_like=True):
    frames: list[_Frame]
    texts: dict[int, str]
    slow: list[_Slow]
    plans: list[_Plan]
    events: list[_Event]


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Batch)


def encode(batch: Batch) -> bytes:
    """A batch as bytes. A slow statement's `sql`, which holds literals, is left out.

    Raises ValueError, TypeError or OverflowError for what no store could take.
    """
    found = _Batch(
        [_frame(frame) for frame in batch.frames],
        dict(batch.texts),
        [
            _Slow(
                msgspec.structs.replace(one.statement, sql=""),
                None if one.plan is None else plain_json(one.plan),
                one.shape, dict(one.waits), one.server,
            )
            for one in batch.slow
        ],
        [
            _Plan(
                one.target.server, one.target.database, one.fingerprint, one.shape,
                one.first_seen, one.last_seen, one.source, one.times, one.cost, one.best_ms,
                one.worst_ms, plain_json(one.json),
            )
            for one in batch.plans
        ],
        [
            _Event(
                one.at, one.target.server, one.target.database, one.kind, one.object,
                one.message, plain_json(one.data),
            )
            for one in batch.events
        ],
    )  # fmt: skip
    return zlib.compress(_ENCODER.encode(found), 1)


def _frame(frame: Frame) -> _Frame:
    return _Frame(
        frame.target.server, frame.target.database, frame.view, frame.at, frame.seconds,
        frame.counters, frame.gauges, _pairs(frame.changed), _pairs(frame.base),
        [list(key) for key in frame.gone],
        [(list(key), plain_json(labels)) for key, labels in frame.labels.items()],
        frame.reset, frame.additive,
    )  # fmt: skip


def _pairs(values: Mapping[Key, Values]) -> _Pairs:
    return [(list(key), [_bounded(v) for v in row]) for key, row in values.items()]


def _bounded(value: int | None) -> int | None:
    return None if value is None else max(-_INT64, min(value, _INT64))


def decode(data: bytes) -> Batch:
    """The batch of `encode`. Raises ValueError for other bytes."""
    unpacker = zlib.decompressobj()
    try:
        plain = unpacker.decompress(data, LARGEST)
        found = _DECODER.decode(plain)
    except (zlib.error, msgspec.DecodeError) as error:
        raise ValueError("These bytes are no batch of the spool.") from error
    return Batch(
        tuple(_read_frame(one) for one in found.frames),
        found.texts,
        tuple(SlowEntry(o.statement, o.plan, o.shape, o.waits, o.server) for o in found.slow),
        tuple(_read_plan(one) for one in found.plans),
        tuple(
            Event(o.at, Target(o.server, o.database), o.kind, o.object, o.message, o.data)
            for o in found.events
        ),
    )


def _read_frame(one: _Frame) -> Frame:
    return Frame(
        Target(one.server, one.database), one.view, one.at, one.seconds, one.counters, one.gauges,
        {tuple(key): tuple(row) for key, row in one.changed},
        {tuple(key): tuple(row) for key, row in one.base},
        tuple(tuple(key) for key in one.gone),
        {tuple(key): labels for key, labels in one.labels},
        one.reset, one.additive,
    )  # fmt: skip


def _read_plan(one: _Plan) -> PlanRecord:
    return PlanRecord(
        Target(one.server, one.database), one.fingerprint, one.shape, one.first_seen,
        one.last_seen, one.source, one.times, one.cost, one.best_ms, one.worst_ms, one.json,
    )  # fmt: skip
