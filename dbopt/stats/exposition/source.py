"""The source of /metrics for what was collected last: families, and what is made of several views.

It is asked at a scrape; what a view said is worked through once, however often it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import itemgetter
from threading import Thread
from typing import Any

from dbopt.clock import Clock, wall
from dbopt.metrics import OTHER, Definition, Sample, Type
from dbopt.metricsettings import Metrics
from dbopt.pg.connect import Row
from dbopt.pg.server import ServerInfo
from dbopt.stats.collectors import VIEWS
from dbopt.stats.exposition import derived, relations, servers, states
from dbopt.stats.exposition.family import DATABASE, MOST, Family
from dbopt.stats.exposition.shelf import Labels, Series, Shelf, Values
from dbopt.stats.view import Collected

FAMILIES: tuple[Family, ...] = (*servers.FAMILIES, *relations.FAMILIES, *states.FAMILIES)
_COUNTERS = {view.name: view.counters for view in VIEWS}

AT_ONCE = 2000
"""Rows that are worked through at a scrape; it takes some 10 ms."""

DEFINITIONS: tuple[Definition, ...] = (
    Definition("pg_up", Type.GAUGE, "1 if PostgreSQL answered when it was last asked."),
    Definition(
        "dbopt_collecting",
        Type.GAUGE,
        "1 if this sidecar collects; else another one of the fleet has the pg_ values.",
    ),
    *(one for family in FAMILIES for one in family.definitions(_COUNTERS[family.view])),
    *derived.DEFINITIONS,
)
"""Every metric that Exposition gives."""


class Exposition:
    """See metrics.Source. `latest` gives what each view said last, by name, `server` whose they
    are; `leading` tells whether this sidecar collects, `up` whether PostgreSQL answers.
    """

    def __init__(
        self,
        settings: Metrics,
        latest: Callable[[], Mapping[str, Collected]],
        server: Callable[[], ServerInfo | None],
        leading: Callable[[], bool],
        up: Callable[[], bool],
        clock: Clock = wall,
        at_once: int = AT_ONCE,
    ) -> None:
        self._latest = latest
        self._server = server
        self._leading = leading
        self._up = up
        self._clock = clock
        self._at_once = at_once
        self._thread: Thread | None = None
        limits = {"tables": settings.tables, "indexes": settings.indexes}
        limits["statements"] = settings.statements
        self._states = [
            _State(family, limit)
            for family in FAMILIES
            if (limit := limits.get(family.limit, MOST)) > 0
        ]

    def samples(self) -> Iterator[Sample]:
        """The values now; of the server only while this sidecar collects."""
        yield Sample("pg_up", float(self._up()))
        yield Sample("dbopt_collecting", float(self._leading()))
        server = self._server()
        latest = self._latest() if server is not None and self._leading() else {}
        self._work_through(latest, server)
        for state in self._states:
            if state.family.view in latest:
                yield from state.samples
            else:
                state.samples = ()
        if server is not None and latest:
            yield from derived.samples(latest, server, self._clock())

    def _work_through(self, latest: Mapping[str, Collected], server: ServerInfo | None) -> None:
        """Make samples of what is new: at once of little, in a thread of what would take long.

        Until the thread is done there is what was before: the event loop must not wait for it.
        """
        if self._thread is not None and self._thread.is_alive():
            return
        new = [
            (state, seen)
            for state in self._states
            if (seen := latest.get(state.family.view)) is not None and seen is not state.seen
        ]
        if not new or server is None:
            return
        if sum(len(seen.rows) for _, seen in new) <= self._at_once:
            _work(new, server.database)
            return
        self._thread = Thread(
            target=_work, args=(new, server.database), name="dbopt-exposition", daemon=True
        )
        self._thread.start()


class _State:
    """One family: what was worked through last, and what came of it."""

    def __init__(self, family: Family, limit: int) -> None:
        self.family = family
        self.seen: Collected | None = None
        self.samples: Sequence[Sample] = ()
        known = _COUNTERS[family.view]
        self._sums = tuple(one.sums for one in family.columns)
        counters = tuple(one.column in known for one in family.columns)
        self._shelf = Shelf(limit, counters, self._sums)
        self._value = _getter([one.column for one in family.columns])
        self._rank = _getter(family.rank)
        self._words = _getter([column for _, column in family.labels if column != DATABASE])
        places = (at for at, (_, column) in enumerate(family.labels) if column == DATABASE)
        self._database_at = next(places, -1)

    def take(self, seen: Collected, database: str) -> None:
        """Work it through. What is shown is changed at once, in the end."""
        self._shelf.put(self._series(seen.rows, database))
        samples = [
            sample
            for labels, values in self._shelf.shown()
            for sample in self._named(labels, values)
        ]
        others = self._shelf.others()
        if others is not None:
            labels = tuple(
                database if column == DATABASE else OTHER for _, column in self.family.labels
            )
            samples += self._named(labels, others)
        self.samples, self.seen = samples, seen

    def _named(self, labels: Labels, values: Values) -> Iterator[Sample]:
        for column, value in zip(self.family.columns, values, strict=True):
            if value is not None:
                yield Sample(column.name, value * column.factor, labels)
            elif column.column.endswith("_at"):
                yield Sample(column.name, 0.0, labels)  # never, in postgres_exporter's words

    def _series(self, rows: list[Row], database: str) -> dict[Labels, Series]:
        """Entities with equal labels are one: Prometheus has each series once."""
        found: dict[Labels, Series] = {}
        at = self._database_at
        for row in rows:
            labels = tuple("" if word is None else str(word) for word in self._words(row))
            if at >= 0:
                labels = (*labels[:at], database, *labels[at:])
            new = Series(self._value(row), sum(filter(None, self._rank(row))))
            old = found.get(labels)
            found[labels] = self._merged(old, new) if old is not None else new
        return found

    def _merged(self, one: Series, other: Series) -> Series:
        pairs = zip(one.values, other.values, self._sums, strict=True)
        values = tuple(
            b if a is None else a if b is None else a + b if sums else max(a, b)
            for a, b, sums in pairs
        )
        return Series(values, one.rank + other.rank)


def _work(new: Sequence[tuple[_State, Collected]], database: str) -> None:
    for state, seen in new:
        state.take(seen, database)


def _getter(names: Sequence[str]) -> Callable[[Row], tuple[Any, ...]]:
    """What gives these columns of a row, in order."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda _: ()
    (name,) = names
    return lambda row: (row[name],)
