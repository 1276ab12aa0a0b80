"""TopRows: rows by key, bounded: those with the most time lately stay, the rest become one.

What is lately is a decaying sum: each microsecond counts half as much `half_life` seconds later
(forward decay: Cormode, Shkapenyuk, Srivastava, Xu, ICDE 2009, so that no row is touched to
decay it). A newcomer starts with what the last row to leave had, as in Space-Saving (Metwally,
Agrawal, El Abbadi, ICDT 2005): so a row with more than 1/most of all time is never lost, however
many others pass once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, Protocol, Self, TypeVar

from dbopt.clock import Clock, monotonic

HALF_LIFE = 300.0
MAX_OTHERS = 1000
"""Rows of what is counted together, told apart by database and user."""
_MAX_BATCH = 1000
_MAX_EXPONENT = 500.0


class Part(Protocol):
    """What one key counted. `worth` and `floor` are TopRows' own, 0.0 at first."""

    worth: float
    floor: float

    def merge(self, other: Self) -> None:
        """Add what another counted."""
        ...


K = TypeVar("K")
P = TypeVar("P", bound=Part)


class TopRows(Generic[K, P]):
    """At most `most` rows. One that leaves is merged into the row that `other` names for it.

    There are at most 1000 of those; beyond them everything is merged into `last`.
    """

    def __init__(
        self,
        most: int,
        make: Callable[[], P],
        other: Callable[[K], K],
        last: K,
        clock: Clock = monotonic,
    ) -> None:
        self._most = most
        self._make = make
        self._other = other
        self._last = last
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget all."""
        self._began = self._clock()
        self._floor = 0.0
        self._rows: dict[K, P] = {}
        self._others: dict[K, P] = {}

    def __len__(self) -> int:
        return len(self._rows) + len(self._others)

    def row(self, key: K, worth: float) -> P:
        """The row of a key, to be added to; `worth` is the time that is about to be added."""
        found = self._rows.get(key)
        if found is None:
            if len(self._rows) >= self._most:
                self._evict()
            found = self._rows[key] = self._make()
            found.floor = self._floor
        found.worth += worth * self._scale()
        return found

    def together(self, key: K) -> P:
        """The row of what cannot be told apart; `key` is one that `other` gives."""
        if key not in self._others and len(self._others) >= MAX_OTHERS:
            key = self._last
        return self._others.setdefault(key, self._make())

    def items(self) -> Iterator[tuple[K, P]]:
        """Every row, those counted together last."""
        yield from self._rows.items()
        yield from self._others.items()

    def _scale(self) -> float:
        exponent = (self._clock() - self._began) / HALF_LIFE
        if exponent > _MAX_EXPONENT:
            self._rescale(2.0**-exponent)
            exponent = 0.0
        return float(2.0**exponent)

    def _rescale(self, factor: float) -> None:
        self._began = self._clock()
        self._floor *= factor
        for part in self._rows.values():
            part.worth *= factor
            part.floor *= factor

    def _evict(self) -> None:
        """Merge the least eighth, so that the next ones cost nothing."""
        many = max(1, min(self._most // 8, _MAX_BATCH))
        # Not heapq.nsmallest: rows that come in falling order make it ten times as slow.
        leaving = sorted(self._rows.items(), key=lambda row: _rank(row[1]))[:many]
        self._floor = max(self._floor, _rank(leaving[-1][1]))
        for key, part in leaving:
            del self._rows[key]
            self.together(self._other(key)).merge(part)


def _rank(part: Part) -> float:
    return part.floor + part.worth


def matching(
    rows: Iterator[tuple[K, P]], wanted: Mapping[int, object], at: Callable[[K, int], object]
) -> Iterator[tuple[K, P]]:
    """The rows whose key has these values at these places."""
    for key, part in rows:
        if all(at(key, place) == value for place, value in wanted.items()):
            yield key, part
