"""Verdicts, as they travel."""

from __future__ import annotations

import msgspec
import pytest

from dbopt.verdict import UNJUDGED, Question, Refusal, Verdict, unjudged
from dbopt.wire.sqlstate import condition_name


@pytest.mark.parametrize(
    "one",
    [
        Verdict(refused=True, rule="cost", detail="…", expires=1.5),
        Question(2**64 - 1, "SELECT '\x00'", "app", "alice", "web", "/x"),
        Refusal(1, "app", "alice", "web", "", "cost", 3),
    ],
    ids=lambda one: type(one).__name__,
)
def test_they_travel(one: msgspec.Struct) -> None:
    assert one == msgspec.msgpack.decode(msgspec.msgpack.encode(one), type=type(one))


@pytest.mark.parametrize(
    ("verdict", "plain"),
    [
        (Verdict(), True),
        (Verdict(score=7, grade="simple", timeout=1.0), True),
        (Verdict(refused=True), False),
        (Verdict(heavy=True), False),
        (Verdict(max_rows=1), False),
        (Verdict(expires=1.0), False),
    ],
)
def test_what_may_run_just_so(verdict: Verdict, plain: bool) -> None:
    assert plain == verdict.plain


def test_without_a_verdict() -> None:
    assert Verdict(expires=5.0) == unjudged(False, 5.0)
    closed = unjudged(True, 5.0)
    assert (True, UNJUDGED, 5.0) == (closed.refused, closed.rule, closed.expires)
    assert condition_name(closed.sqlstate)
    assert closed.message
    assert closed.hint
