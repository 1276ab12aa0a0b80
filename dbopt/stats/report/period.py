"""Period: a time's frames added up, by view and entity, and over time. PURE.

Frames are added as they are read, in order of time. Those that end at or before `since` are
a prelude: they only tell how things stood at the start.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dbopt.stats.report.moments import Moments
from dbopt.stats.report.timeline import Timeline
from dbopt.store.frame import Event, Frame, Key, Values

EntityKey = tuple[str, Key]
"""The target's database ("": the server's), then the entity's own key."""
FOLD = 32
"""Frames of an entity that are added up at once: a column at a time is five times as fast."""


@dataclass(frozen=True, slots=True)
class Row:
    """One entity of a view: what its counters grew by, and its gauges at start and end."""

    database: str
    key: Key
    labels: Mapping[str, Any]
    grown: Mapping[str, int | None]
    gauges: Mapping[str, int | None]
    started: Mapping[str, int | None]

    def get(self, name: str) -> int | None:
        """A counter's growth; None where it was not measured."""
        return self.grown.get(name)

    def n(self, name: str) -> int:
        """A counter's growth; 0 where it was not measured."""
        return self.grown.get(name) or 0

    def gauge(self, name: str) -> int | None:
        """A gauge at the end; None where it was not measured."""
        return self.gauges.get(name)

    def growth(self, name: str) -> int | None:
        """By how much a gauge is more than at the start."""
        before, after = self.started.get(name), self.gauges.get(name)
        return None if before is None or after is None else after - before


@dataclass(slots=True)
class ViewSum:
    """One view's frames. `seconds` is what those of the period cover, `ends` when each ended."""

    counters: tuple[str, ...] = ()
    gauges: tuple[str, ...] = ()
    seconds: float = 0.0
    ends: list[tuple[float, float]] = field(default_factory=list)
    resets: list[datetime] = field(default_factory=list)
    grown: dict[EntityKey, list[Values]] = field(default_factory=dict)
    measured: dict[EntityKey, Values] = field(default_factory=dict)
    started: dict[EntityKey, Values] = field(default_factory=dict)
    standing: dict[EntityKey, Values] = field(default_factory=dict)
    labels: dict[EntityKey, Mapping[str, Any]] = field(default_factory=dict)
    gone: set[EntityKey] = field(default_factory=set)

    def add(self, frame: Frame, inside: bool) -> None:
        """Add a frame; `inside` tells whether it is of the period, or of what was before."""
        if frame.columns != self.counters + self.gauges:
            frame = self._aligned(frame)
        width, database = len(self.counters), frame.target.database
        for key, values in frame.changed.items():
            entity = (database, key)
            self._stands(entity, values[width:])
            if inside:
                self._grow(entity, values[:width])
        for key, values in frame.base.items():
            entity = (database, key)
            self.measured[entity] = values[:width]
            self._stands(entity, values[width:])
        self.labels.update({(database, key): labels for key, labels in frame.labels.items()})
        self.gone.update((database, key) for key in frame.gone)
        if inside:
            self.seconds += frame.seconds
            self.ends.append((frame.at.timestamp(), frame.seconds))
            if frame.reset:
                self.resets.append(frame.at)

    def _stands(self, entity: EntityKey, gauges: Values) -> None:
        self.standing[entity] = gauges
        self.started.setdefault(entity, gauges)
        self.gone.discard(entity)

    def _grow(self, entity: EntityKey, values: Values) -> None:
        rows = self.grown.get(entity)
        if rows is None:
            self.grown[entity] = [values]
            return
        rows.append(values)
        if len(rows) >= FOLD:
            rows[:] = [_sum(rows)]

    def _folded(self) -> None:
        for rows in self.grown.values():
            rows[:] = [_sum(rows)]

    def _aligned(self, frame: Frame) -> Frame:
        """The frame with our columns; what we have not is added to ours.

        A view's columns change when the server, or dbopt, is another version's.
        """
        if set(frame.counters) - set(self.counters) or set(frame.gauges) - set(self.gauges):
            self._widen(frame)
        if frame.columns == self.counters + self.gauges:
            return frame
        at = {name: place for place, name in enumerate(frame.columns)}
        order = [at.get(name) for name in self.counters + self.gauges]

        def moved(rows: Mapping[Key, Values]) -> dict[Key, Values]:
            return {
                key: tuple(None if place is None else row[place] for place in order)
                for key, row in rows.items()
            }

        return Frame(
            frame.target, frame.view, frame.at, frame.seconds, self.counters, self.gauges,
            moved(frame.changed), moved(frame.base), frame.gone, frame.labels, frame.reset,
        )  # fmt: skip

    def _widen(self, frame: Frame) -> None:
        more = tuple(name for name in frame.counters if name not in self.counters)
        also = tuple(name for name in frame.gauges if name not in self.gauges)
        self.counters += more
        self.gauges += also
        self._folded()
        for rows in self.grown.values():
            rows[0] = (*rows[0], *[None] * len(more))
        self.measured = {k: (*v, *[None] * len(more)) for k, v in self.measured.items()}
        self.started = {k: (*v, *[None] * len(also)) for k, v in self.started.items()}
        self.standing = {k: (*v, *[None] * len(also)) for k, v in self.standing.items()}

    def rows(self) -> Iterator[Row]:
        """Every entity that was there in the period, those that stood still too."""
        self._folded()
        for entity, gauges in self.standing.items():
            rows = self.grown.get(entity)
            if entity in self.gone and not (rows and any(rows[0])):
                continue
            base = self.measured.get(entity, ())
            grown = rows[0] if rows else tuple(None if v is None else 0 for v in base)
            yield Row(
                entity[0],
                entity[1],
                self.labels.get(entity, {}),
                dict(zip(self.counters, grown, strict=False)),
                dict(zip(self.gauges, gauges, strict=True)),
                dict(zip(self.gauges, self.started[entity], strict=True)),
            )


def _sum(rows: Sequence[Values]) -> Values:
    """Column by column; None where no row has a value."""
    if len(rows) == 1:
        return rows[0]
    return tuple(map(_column, zip(*rows, strict=True)))


def _column(values: tuple[int | None, ...]) -> int | None:
    try:
        return sum(values)  # type: ignore[arg-type]
    except TypeError:
        found = [value for value in values if value is not None]
        return sum(found) if found else None


class Period:
    """What happened from `since` to `until`. `add` frames in order of time, then ask.

    `database` leaves out what is known to be of another one ("": of all).
    """

    def __init__(self, since: datetime, until: datetime, database: str = "") -> None:
        self.since = since
        self.until = until
        self.database = database
        self.views: dict[str, ViewSum] = {}
        self.timeline = Timeline(since, until, database)
        self.moments = Moments(database)
        self.events: list[Event] = []
        self._rows: dict[str, tuple[Row, ...]] = {}

    @property
    def seconds(self) -> float:
        """The period's length, whether there is history of all of it or not."""
        return (self.until - self.since).total_seconds()

    def add(self, frame: Frame) -> None:
        """Add one frame."""
        view = self.views.get(frame.view)
        if view is None:
            view = self.views[frame.view] = ViewSum(frame.counters, frame.gauges)
        inside = self.since < frame.at <= self.until
        view.add(frame, inside)
        if inside:
            self.timeline.add(frame)
            self.moments.add(frame, view.labels)
        self._rows.pop(frame.view, None)

    def add_all(self, frames: Iterable[Frame]) -> Period:
        """Add frames; gives the period itself."""
        for frame in frames:
            self.add(frame)
        return self

    def rows(self, view: str) -> tuple[Row, ...]:
        """The entities of a view; () where there is no history of it."""
        if view not in self._rows:
            found = self.views.get(view)
            self._rows[view] = tuple(found.rows()) if found else ()
        return self._rows[view]

    def one(self, view: str) -> Row | None:
        """The entity of a view that has one, such as wal."""
        return next(iter(self.rows(view)), None)

    def covered(self, view: str) -> float:
        """Seconds of the period that frames of a view cover; of samples, their number."""
        found = self.views.get(view)
        return found.seconds if found else 0.0

    @property
    def sample_interval(self) -> float:
        """Seconds between two samples of sessions, about; 1 where nothing tells."""
        samples, seconds = self.covered("waits"), self.covered("database")
        return min(max(seconds / samples, 1.0), 60.0) if samples and seconds else 1.0

    def has(self, view: str) -> bool:
        """Whether there is a frame of the view in the period."""
        found = self.views.get(view)
        return bool(found and found.ends)
