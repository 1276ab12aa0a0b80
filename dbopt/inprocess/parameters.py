"""A slow statement's parameters as they may be shown, where the application allows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from typing import Any
from uuid import UUID

LONGEST = 2000
"""Characters of all of them."""
_LONGEST_ONE = 500
_MANY = 50
_DEPTH = 3
_SIMPLE = (bool, int, float, Decimal, date, datetime, time, timedelta, UUID)


def shown_parameters(params: Any) -> str:
    """Values as Python writes them, at most 2000 characters.

    Of a type that is not plain its name alone: its own repr() is the application's code, which
    may be slow, or ask the very connection that we are called on, and wait for ever.
    """
    return _shown(params, 0)[:LONGEST]


def _shown(value: Any, depth: int) -> str:
    kind = type(value)
    if value is None or kind in _SIMPLE:
        return _simple(value)
    if kind in (str, bytes):
        return repr(value[:_LONGEST_ONE]) + ("..." if len(value) > _LONGEST_ONE else "")
    if depth < _DEPTH and kind in (list, tuple):
        return _sequence(value, depth)
    if depth < _DEPTH and kind is dict:
        return _mapping(value, depth)
    return f"<{kind.__name__}>"


def _simple(value: Any) -> str:
    if type(value) is int and value.bit_length() > 8 * _LONGEST_ONE:
        return "<int>"  # Python refuses to write one of thousands of digits.
    return repr(value)


def _sequence(values: Sequence[Any], depth: int) -> str:
    parts = [_shown(one, depth + 1) for one in islice(values, _MANY)]
    more = ["..."] if len(values) > _MANY else []
    inside = ", ".join(parts + more)
    if type(values) is list:
        return f"[{inside}]"
    return f"({inside},)" if len(values) == 1 else f"({inside})"


def _mapping(values: Mapping[Any, Any], depth: int) -> str:
    parts = [
        f"{_shown(key, depth + 1)}: {_shown(one, depth + 1)}"
        for key, one in islice(values.items(), _MANY)
    ]
    more = ["..."] if len(values) > _MANY else []
    return "{" + ", ".join(parts + more) + "}"
