"""Block: columns of whole numbers as bytes that compress well, and that SQL can read. PURE.

Layout, all of it big-endian: rows (4 bytes), columns (2 bytes), a form byte for each column, then
each column's planes. A form is a width of 0 to 8 in its low four bits, SIGNED and NULLS. A column
of n rows is `width` planes of n bytes: the highest byte of each number, then the next. The high
planes are mostly zeros, which PostgreSQL's TOAST compression takes to nothing; the low ones are
hardly longer than what they say. Where a number stands is known, so that SQL needs no loop
(dbopt.unpacked). Signed numbers are in zigzag; with NULLS all are one more, and 0 is NULL.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from sys import byteorder
from typing import cast

Column = Sequence[int | None]

SIGNED = 0x10
NULLS = 0x20
WIDTH = 0x0F
MOST = (1 << 62) - 2
"""The largest number that is kept; a larger one, of either sign, becomes this."""
_HEAD = 6
_ITEM = 8


def pack(columns: Sequence[Column]) -> bytes:
    """The block of some columns of equal length."""
    rows = len(columns[0]) if columns else 0
    forms, planes = bytearray(), []
    for column in columns:
        form, body = _pack_column(column)
        forms.append(form)
        planes.append(body)
    return b"".join((rows.to_bytes(4, "big"), len(columns).to_bytes(2, "big"), forms, *planes))


def measured(column: Column) -> Sequence[int]:
    """The numbers of a column that are not NULL."""
    if None in column:
        return [value for value in column if value is not None]
    return cast(Sequence[int], column)


def _pack_column(column: Column) -> tuple[int, bytes]:
    known = measured(column)
    if not known:
        return NULLS, b""
    form = 0
    least, most = min(known), max(known)
    if least < 0:
        form |= SIGNED
        column = [None if v is None else _zigzag(v) for v in column]
        most = max(_zigzag(least), _zigzag(most))
    elif most > MOST:
        column = [None if v is None else min(v, MOST) for v in column]
        most = MOST
    if len(known) < len(column):
        form |= NULLS
        column = [0 if v is None else v + 1 for v in column]
        most += 1
    width = (most.bit_length() + 7) // 8
    if not width:
        return form, b""
    raw = array("Q", column)  # type: ignore[type-var]
    if byteorder == "little":
        raw.byteswap()
    data = raw.tobytes()
    return form | width, b"".join(data[plane::_ITEM] for plane in range(_ITEM - width, _ITEM))


def _zigzag(value: int) -> int:
    value = max(-MOST, min(value, MOST))
    return value * 2 if value >= 0 else -value * 2 - 1


class Block:
    """A block that was read: `rows`, and columns as they are asked for.

    Raises ValueError for bytes that are no block.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.rows = int.from_bytes(data[:4], "big")
        self.columns = int.from_bytes(data[4:_HEAD], "big")
        self._forms = data[_HEAD : _HEAD + self.columns]
        widths = [form & WIDTH for form in self._forms]
        first = _HEAD + self.columns
        self._starts = list(accumulate((self.rows * w for w in widths), initial=first))
        if len(data) != self._starts[-1] or any(width > _ITEM for width in widths):
            raise ValueError("This is no block of the history.")

    def form(self, number: int) -> int:
        """One column's form: with a width of 0 it is all zeros, or with NULLS all NULL."""
        return self._forms[number]

    def column(self, number: int) -> list[int | None]:
        """One column's numbers."""
        form, rows, at = self._forms[number], self.rows, self._starts[number]
        width = form & WIDTH
        if not width:
            return [None if form & NULLS else 0] * rows
        raw = bytearray(rows * _ITEM)
        for plane in range(_ITEM - width, _ITEM):
            raw[plane::_ITEM] = self._data[at : at + rows]
            at += rows
        numbers = array("Q", bytes(raw))
        if byteorder == "little":
            numbers.byteswap()
        found: list[int | None] = numbers.tolist()  # type: ignore[assignment]
        if form & NULLS:
            found = [v - 1 if v else None for v in found]
        if form & SIGNED:
            found = [None if v is None else (v >> 1) ^ -(v & 1) for v in found]
        return found

    def all(self) -> list[list[int | None]]:
        """Every column."""
        return [self.column(number) for number in range(self.columns)]
