from __future__ import annotations

import zlib
from datetime import UTC, datetime

import pytest

from dbopt.observation import SlowStatement
from dbopt.store.batch import Batch, decode, encode, joined
from dbopt.store.frame import Event, Frame, Target
from dbopt.store.plans import PlanRecord
from dbopt.store.slow import SlowEntry

T = Target("h:5432", "shop")
AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
FRAME = Frame(
    T, "tables", AT, 60.0, ("calls",), ("bytes",), {(1, "a"): (1, None), (-(2**63), ""): (2, 3)},
    {(2, "b"): (2**63 - 1, -1)}, ((3, "c"),), {(2, "b"): {"name": "b", "n": None}}, True, True,
)  # fmt: skip
SLOW = SlowStatement(
    2**64 - 1, "SELECT $1", "", "shop", "app", "web", 1.5, 3.0, 1.0, 1.0, 3, "57014", 47, "/r",
    {"route": "/r"}, 1.0, 5, 6,
)  # fmt: skip
BATCH = Batch(
    (FRAME,),
    {2**64 - 1: "SELECT $1"},
    (SlowEntry(SLOW, {"Plan": {"Node Type": "Result"}}, "aa", {"IO:x": 1}, "h:5432"),),
    (PlanRecord(T, 7, "aa", AT, AT, "explain", 2, 1.5, None, 2.5, {"Plan": []}),),
    (Event(AT, T, "kind", "object", "message", {"a": [1, "b"]}),),
)


def test_a_batch_comes_back() -> None:
    assert BATCH == decode(encode(BATCH))
    assert Batch() == decode(encode(Batch()))


def test_the_text_with_its_literals_is_left_out() -> None:
    statement = SlowStatement(
        *(getattr(SLOW, f) if f != "sql" else "secret" for f in SLOW.__struct_fields__)
    )
    data = encode(Batch(slow=(SlowEntry(statement),)))
    assert b"secret" not in zlib.decompress(data)
    assert "" == decode(data).slow[0].statement.sql


def test_what_no_store_could_take_is_cut() -> None:
    frame = Frame(
        T, "v", AT, 1.0, ("a", "b"), (), {(1,): (2**70, -(2**70))}, labels={(1,): {"at": AT}}
    )
    (found,) = decode(encode(Batch((frame,)))).frames
    assert {(1,): (2**63 - 1, -(2**63) + 1)} == found.changed
    assert {(1,): {"at": str(AT)}} == found.labels


@pytest.mark.parametrize("data", [b"", b"x", zlib.compress(b"\x00"), encode(BATCH)[:-9]])
def test_other_bytes_are_no_batch(data: bytes) -> None:
    with pytest.raises(ValueError, match="no batch"):
        decode(data)


def test_several_are_one_and_one_is_several() -> None:
    both = joined([BATCH, Batch(texts={1: "x"}, events=BATCH.events)])
    assert (1, 2, 2) == (len(both.frames), len(both.texts), len(both.events))
    pieces = list(both.pieces())
    assert 1 + 1 + 1 + 1 + 2 == len(pieces)
    assert both == joined(pieces)
    assert (0, 8) == (Batch().size, BATCH.size)
