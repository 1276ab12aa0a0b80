"""Rows of a view added up by something else than their key. PURE."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.stats.report.period import Row

K = TypeVar("K", bound=Hashable)
Sum = dict[str, int]
"""Counters' growth; one that no row has measured is not in it."""


def summed(rows: Iterable[Row], by: Callable[[Row], K | None]) -> dict[K, Sum]:
    """The rows' counters by what `by` gives; a row that it gives None for is left out."""
    found: dict[K, Sum] = {}
    for row in rows:
        key = by(row)
        if key is None:
            continue
        sums = found.setdefault(key, {})
        for name, value in row.grown.items():
            if value is not None:
                sums[name] = sums.get(name, 0) + value
    return found


def ratio(part: float | None, whole: float | None) -> float | None:
    """part ÷ whole; None where either is unknown or the whole is nothing."""
    if part is None or not whole:
        return None
    return part / whole


def hit_ratio(hit: int | None, read: int | None) -> float | None:
    """Blocks found in the buffer cache as a share of all; None without any."""
    return None if hit is None or read is None else ratio(hit, hit + read)


def hexed(number: int) -> str:
    """A fingerprint as 16 hex digits; "" for 0, which is none."""
    return fingerprint_hex(number) if number else ""
