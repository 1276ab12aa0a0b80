"""What rows of history add up to, entity by entity, without making frames of them. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from dbopt.pg.connect import Row
from dbopt.store.decoding import Decoded
from dbopt.store.frame import SAMPLED, Key, Target, Values
from dbopt.store.names import Layout


@dataclass(slots=True)
class Total:
    """What the frames of one view and target add up to in a period.

    `since` and `until` are the time that the frames cover, `seconds` together: of a view whose
    frames are additive, a period that two sidecars saw counts once; of one in SAMPLED they are
    samples taken. `values` are of each
    entity: its counters' growth, None where nothing was measured, and its latest gauges; an
    entity that stood still has those of its base, and one that has none is not in it. `gone` are
    no more at the end. `labels` of each, as they are now. `resets` is how many frames say that
    counters began again.
    """

    target: Target
    view: str
    since: datetime
    until: datetime
    counters: tuple[str, ...]
    gauges: tuple[str, ...]
    seconds: float = 0.0
    frames: int = 0
    resets: int = 0
    values: dict[Key, Values] = field(default_factory=dict)
    labels: dict[Key, Mapping[str, Any]] = field(default_factory=dict)
    gone: set[Key] = field(default_factory=set)


class Totals:
    """Adds up rows, given in order of time."""

    def __init__(self, target: Target, view: str) -> None:
        self._target = target
        self._view = view
        self._counters: dict[str, dict[int, int]] = {}
        self._measured: dict[str, set[int]] = {}
        self._gauges: dict[str, dict[int, int | None]] = {}
        self._ids: dict[int, None] = {}
        self._gone: set[int] = set()
        self._since: datetime | None = None
        self._until: datetime | None = None
        self._seconds = 0.0
        self._frames = 0
        self._resets = 0

    def add(
        self, row: Row, layout: Layout, changed: Decoded | None, base: Decoded | None,
        gone: list[int],
    ) -> None:  # fmt: skip
        """Add one row of history."""
        _, counters, gauges, _ = layout
        self._cover(row["at"], row["seconds"])
        self._frames += 1
        self._resets += row["reset"]
        for name in counters:
            self._counters.setdefault(name, {})
            self._measured.setdefault(name, set())
        for name in gauges:
            self._gauges.setdefault(name, {})
        for part in (changed, base):
            if part is not None:
                self._ids.update(dict.fromkeys(part.ids))
                self._gone.difference_update(part.ids)
                for name, column in zip(gauges, part.gauges, strict=True):
                    self._gauges[name].update(zip(part.ids, column, strict=True))
        self._gone.update(gone)
        if changed is not None:
            self._grow(counters, changed)

    def _cover(self, at: datetime, seconds: float) -> None:
        began = at - timedelta(seconds=seconds)
        if self._since is None or self._until is None:
            self._since, self._until, self._seconds = began, at, seconds
            return
        fresh = (at - max(began, self._until)).total_seconds()
        self._seconds += seconds if self._view in SAMPLED else max(0.0, fresh)
        self._since = min(self._since, began)
        self._until = max(self._until, at)

    def _grow(self, counters: tuple[str, ...], changed: Decoded) -> None:
        for number, name in enumerate(counters):
            if number in changed.zeros:
                self._measured[name].update(changed.ids)
                continue
            column = changed.counters.get(number)
            if column is None:
                continue
            sums = self._counters[name]
            for entity, value in zip(changed.ids, column, strict=True):
                if value:
                    sums[entity] = sums.get(entity, 0) + value
            if None in column:
                pairs = zip(changed.ids, column, strict=True)
                self._measured[name].update(entity for entity, value in pairs if value is not None)
            else:
                self._measured[name].update(changed.ids)

    def result(self, named: Mapping[int, tuple[Key, Mapping[str, Any]]]) -> Total | None:
        """What they add up to; None where there was no row."""
        if self._since is None or self._until is None:
            return None
        found = Total(
            self._target, self._view, self._since, self._until, tuple(self._counters),
            tuple(self._gauges), self._seconds, self._frames, self._resets,
        )  # fmt: skip
        for entity in self._ids:
            key, labels = named[entity]
            grown = (
                self._counters[name].get(entity, 0) if entity in measured else None
                for name, measured in self._measured.items()
            )
            found.values[key] = (*grown, *(known.get(entity) for known in self._gauges.values()))
            found.labels[key] = labels
        found.gone.update(named[entity][0] for entity in self._gone)
        return found
