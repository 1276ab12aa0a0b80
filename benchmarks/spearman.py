"""Spearman's rank correlation, and how far it hangs on single statements."""

from __future__ import annotations

from collections.abc import Sequence


def ranks(values: Sequence[float]) -> list[float]:
    """The rank of each value from 1; equal ones share the mean of their ranks."""
    order = sorted(range(len(values)), key=values.__getitem__)
    result = [0.0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end + 1 < len(order) and values[order[end + 1]] == values[order[start]]:
            end += 1
        for at in order[start : end + 1]:
            result[at] = (start + end) / 2 + 1
        start = end + 1
    return result


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rho: Pearson's correlation of the ranks. 0 where one side is all equal."""
    a, b = ranks(one), ranks(other)
    mean = (len(a) + 1) / 2
    both = sum((x - mean) * (y - mean) for x, y in zip(a, b, strict=True))
    spread = sum((x - mean) ** 2 for x in a) * sum((y - mean) ** 2 for y in b)
    return both / spread**0.5 if spread else 0.0


def left_out(one: Sequence[float], other: Sequence[float]) -> tuple[float, float]:
    """The least and the largest rho when any one of the statements is left out."""
    every = [
        spearman([*one[:at], *one[at + 1 :]], [*other[:at], *other[at + 1 :]])
        for at in range(len(one))
    ]
    return min(every), max(every)
