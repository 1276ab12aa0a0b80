"""W3C trace context: which trace a statement belongs to. PURE.

Source: https://www.w3.org/TR/trace-context/, 3.2 traceparent.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_FORM = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)


class TraceParent(NamedTuple):
    """The caller's span. `sampled`: it is recorded, so that ours should be."""

    trace_id: int
    span_id: int
    sampled: bool


def parse(text: str) -> TraceParent | None:
    """What a traceparent says; None where it is not valid."""
    match = _FORM.fullmatch(text) if len(text) <= 256 else None
    if match is None:
        return None
    version, trace, span, flags, more = match.groups()
    if version == "ff" or (version == "00" and more):
        return None
    found = TraceParent(int(trace, 16), int(span, 16), bool(int(flags, 16) & 1))
    return found if found.trace_id and found.span_id else None
