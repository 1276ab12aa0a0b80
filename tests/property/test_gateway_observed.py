"""Whatever clients send: each statement, byte and transaction is counted once."""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.gateway.replies import rows_of
from dbopt.wire import messages as m
from dbopt.wire.scan import messages as scan
from tests.property.test_gateway_relay import cuts, hasty, patient, seeds
from tests.support import examples
from tests.unit.gateway.stage import Stage, directly, play, told

SYNC = m.Sync().encode()
ENDS = (b"COMMIT\0", b"ROLLBACK\0")


class Reference:
    """What a server's replies tell of statements and transactions, read in order."""

    def __init__(self, replies: bytes) -> None:
        self.rows = self.errors = self.blocks = self.failed = 0
        self._open = False
        for kind, start, end in scan(replies):
            payload = replies[start + 5 : end]
            if kind == ord("C"):
                self._completed(payload)
            elif kind == ord("E"):
                self.errors += 1
            elif kind == ord("Z"):
                self._ready(payload)

    def _completed(self, tag: bytes) -> None:
        self.rows += rows_of(tag)
        if tag == b"BEGIN\0":
            self._open = True
        elif tag in ENDS and self._open:
            self._end(tag == b"ROLLBACK\0")

    def _ready(self, status: bytes) -> None:
        if status == b"I" and self._open:
            self._end(True)
        elif status != b"I":
            self._open = True

    def _end(self, failed: bool) -> None:
        self._open = False
        self.blocks += 1
        self.failed += failed


def check(scripts: list[list[bytes]], backends: int, cut: int, seed: int, *, wait: bool) -> None:
    stage = Stage(backends)
    relays = {stage.client(f"zone{number}"): parts for number, parts in enumerate(scripts)}
    play(stage, relays, random.Random(seed), cut, wait)  # noqa: S311 - no secret
    taken = stage.gate.counts.take()
    rows: Counter[str] = Counter()
    received: Counter[str] = Counter()
    for count in taken.counts:
        assert count.calls == sum(count.buckets.values())
        assert 0 <= count.transfer_us <= count.total_us + 1
        assert min(count.received, count.sent) >= 0
        rows[count.application] += count.rows
        received[count.application] += count.received
    blocks = {block.application: (block.count, block.failed) for block in taken.transactions}
    for number, (relay, parts) in enumerate(relays.items()):
        zone = f"zone{number}"
        expected = Reference(directly(b"".join(parts), zone))
        assert expected.rows == rows[zone]
        assert (expected.blocks, expected.failed) == blocks.get(zone, (0, 0))
        rest = relay._ledger.unassigned
        assert sum(map(len, parts)) == received[zone] + rest


@settings(max_examples=examples(100), deadline=None)
@given(
    scripts=st.lists(patient, min_size=1, max_size=3), backends=st.integers(1, 2), cut=cuts,
    seed=seeds,
)  # fmt: skip
def test_patient_clients(scripts: list[list[bytes]], backends: int, cut: int, seed: int) -> None:
    check(scripts, backends, cut, seed, wait=True)


@settings(max_examples=examples(100), deadline=None)
@given(
    scripts=st.lists(hasty, min_size=1, max_size=3), backends=st.integers(1, 2), cut=cuts,
    seed=seeds,
)  # fmt: skip
def test_hasty_clients(scripts: list[list[bytes]], backends: int, cut: int, seed: int) -> None:
    check(scripts, backends, cut, seed, wait=False)


def _run(sql: bytes) -> bytes:
    return (
        m.Parse(b"", sql).encode() + m.Bind(b"", b"", (), (), ()).encode() + m.Execute(b"").encode()
    )


SQL = st.sampled_from([b"select", b"select", b"begin", b"commit", b"error", b"rollback"])
requests = st.one_of(
    st.lists(SQL, min_size=1, max_size=3).map(lambda found: m.Query(b";".join(found)).encode()),
    st.lists(SQL, min_size=1, max_size=3).map(lambda found: b"".join(map(_run, found)) + SYNC),
)


@settings(max_examples=examples(100), deadline=None)
@given(script=st.lists(requests, max_size=8), cut=cuts, seed=seeds)
def test_the_bytes_of_answers(script: list[bytes], cut: int, seed: int) -> None:
    stage = Stage()
    relay = stage.client()
    play(stage, {relay: script}, random.Random(seed), cut, True)  # noqa: S311 - no secret
    counts = stage.gate.counts.take().counts
    ledger = relay._ledger
    assert len(told(relay)) == sum(c.sent for c in counts) + ledger.taken - ledger.charged
    errors = sum(sum(count.errors.values()) for count in counts)
    assert Reference(told(relay)).errors == errors
