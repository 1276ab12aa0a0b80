from __future__ import annotations

import pytest

from dbopt.otel.traceparent import TraceParent, parse

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.mark.parametrize(("flags", "sampled"), [("01", True), ("00", False), ("03", True)])
def test_a_caller_and_whether_it_is_recorded(flags: str, sampled: bool) -> None:
    expected = TraceParent(int(TRACE, 16), int(SPAN, 16), sampled)
    assert expected == parse(f"00-{TRACE}-{SPAN}-{flags}")


def test_a_later_version_may_say_more() -> None:
    assert parse(f"01-{TRACE}-{SPAN}-01-more") is not None


@pytest.mark.parametrize(
    "text",
    [
        "", "00", f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01", f"00-{TRACE}-{SPAN}-01-more", f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01\n", "x" * 10_000,
    ],
)  # fmt: skip
def test_others_are_no_callers(text: str) -> None:
    assert parse(text) is None
