"""Gauges as differences: a gauge that moves little takes a byte, and one that stands still nothing.

Rows of one view and target form chains. In a chain's first row a gauge is what it is; in each
later one it is the difference to the same entity's last, be that in `changed` or in `base`, where
values are always whole. A chain ends after an hour, after a number of rows, and with the UTC day,
so that who reads need look back for an hour at most, and dropping a day breaks none. PURE.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

LONGEST = timedelta(hours=1)
MOST_LINKS = 120

Numbers = Sequence[int | None]


@dataclass(slots=True)
class Chain:
    """One chain: `link` counts its rows; `last` holds each entity's gauges, by gauge."""

    id: int
    began: datetime
    at: datetime
    layout: int
    link: int = 0
    last: list[dict[int, int]] = field(default_factory=list)

    def goes_on(self, at: datetime, layout: int) -> bool:
        """Whether a row of that time may be the next."""
        return (
            layout == self.layout
            and at > self.at
            and at - self.began < LONGEST
            and at.astimezone(UTC).date() == self.began.astimezone(UTC).date()
            and self.link + 1 < MOST_LINKS
        )

    def lives(self, at: datetime) -> bool:
        """Whether a row of that time, or a later one, may belong to it."""
        return at - self.began < LONGEST

    def differences(self, gauge: int, ids: Iterable[int], values: Numbers) -> list[int | None]:
        """What to write for a gauge's values, which are remembered."""
        last = self.last[gauge]
        found: list[int | None] = []
        for entity, value in zip(ids, values, strict=True):
            if value is None:
                found.append(None)
            else:
                found.append(value - last.get(entity, 0))
                last[entity] = value
        return found

    def whole(self, gauge: int, ids: Iterable[int], differences: Numbers) -> list[int | None]:
        """What was written, from what is stored; it is remembered."""
        last = self.last[gauge]
        found: list[int | None] = []
        for entity, value in zip(ids, differences, strict=True):
            if value is None:
                found.append(None)
            else:
                whole = last[entity] = last.get(entity, 0) + value
                found.append(whole)
        return found

    def note(self, gauge: int, ids: Iterable[int], values: Numbers) -> None:
        """Whole values: those of a base."""
        pairs = zip(ids, values, strict=True)
        self.last[gauge].update((entity, value) for entity, value in pairs if value is not None)


def begin(at: datetime, layout: int, gauges: int, number: int | None = None) -> Chain:
    """A new chain; `number` is its id where it was read."""
    chosen = secrets.randbits(62) if number is None else number
    return Chain(chosen, at, at, layout, last=[{} for _ in range(gauges)])
