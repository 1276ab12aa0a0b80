"""Shelf: which series have a place of their own, and what all others have together. PURE."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

Labels = tuple[str, ...]
Values = tuple[float | None, ...]


class Series(NamedTuple):
    """One series' values, a metric each, and its rank: the largest have places."""

    values: Values
    rank: float


class Shelf:
    """At most `limit` series have places; one keeps its place while it is among the first two
    times `limit`, so that series do not come and go.

    The others' counters are added up as they grow, so that their sum never goes down when one of
    them gets a place, or is dropped. `counters` tells for each metric whether it is one, `sums`
    whether gauges add up; else the others have the largest.
    """

    def __init__(self, limit: int, counters: tuple[bool, ...], sums: tuple[bool, ...]) -> None:
        self._limit = limit
        self._counters = counters
        self._sums = sums
        self._own: dict[Labels, None] = {}
        self._before: dict[Labels, Values] | None = None
        self._rest: dict[Labels, Series] = {}
        self._grown: list[float | None] = [None] * len(counters)
        self._seen: Mapping[Labels, Series] = {}

    def put(self, seen: Mapping[Labels, Series]) -> None:
        """What is there now."""
        order = sorted(seen, key=lambda labels: (-seen[labels].rank, labels))
        near = set(order[: 2 * self._limit])
        own = {labels: None for labels in self._own if labels in near}
        for labels in order:
            if len(own) >= self._limit:
                break
            own.setdefault(labels)
        self._own, self._seen = own, seen
        self._rest = {labels: seen[labels] for labels in order if labels not in own}
        for labels, series in self._rest.items():
            self._add(labels, series.values)
        self._before = {labels: series.values for labels, series in seen.items()}

    def _add(self, labels: Labels, values: Values) -> None:
        """What one of the others counted since the last time."""
        before = values
        if self._before is None:
            before = (0.0,) * len(values)  # what it counted before we were there
        elif labels in self._before:
            before = self._before[labels]
        if before == values:
            return  # most stand still
        for place, counter in enumerate(self._counters):
            new, old = values[place], before[place]
            if counter and new is not None:
                grown = new - (old or 0.0)
                self._grown[place] = (self._grown[place] or 0.0) + (grown if grown >= 0 else new)

    def shown(self) -> Iterator[tuple[Labels, Values]]:
        """The series with places of their own."""
        for labels in self._own:
            yield labels, self._seen[labels].values

    def others(self) -> Values | None:
        """The others together; None while there never was one."""
        if not self._rest and all(grown is None for grown in self._grown):
            return None
        return tuple(
            self._grown[place] if counter else self._together(place)
            for place, counter in enumerate(self._counters)
        )

    def _together(self, place: int) -> float | None:
        values = [v for v in (one.values[place] for one in self._rest.values()) if v is not None]
        if not values:
            return None
        return sum(values) if self._sums[place] else max(values)
