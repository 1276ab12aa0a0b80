"""The source of /metrics for what was collected last: families, and what is made of several views.

It is asked at a scrape; what a view said is worked through once, however often it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

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
    ) -> None:
        self._latest = latest
        self._server = server
        self._leading = leading
        self._up = up
        self._clock = clock
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
        if server is None or not self._leading():
            return
        latest = self._latest()
        for state in self._states:
            seen = latest.get(state.family.view)
            if seen is not None:
                yield from state.samples(seen, server.database)
        yield from derived.samples(latest, server, self._clock())


class _State:
    """One family: what was worked through last, and which of its series are shown."""

    def __init__(self, family: Family, limit: int) -> None:
        self.family = family
        known = _COUNTERS[family.view]
        self._counters = tuple(one.column in known for one in family.columns)
        self._sums = tuple(one.sums for one in family.columns)
        self._shelf = Shelf(limit, self._counters, self._sums)
        self._seen: Collected | None = None

    def samples(self, seen: Collected, database: str) -> Iterator[Sample]:
        if seen is not self._seen:
            self._shelf.put(self._series(seen.rows, database))
            self._seen = seen
        for labels, values in self._shelf.shown():
            yield from self._named(labels, values)
        others = self._shelf.others()
        if others is not None:
            labels = tuple(
                database if column == DATABASE else OTHER for _, column in self.family.labels
            )
            yield from self._named(labels, others)

    def _named(self, labels: Labels, values: Values) -> Iterator[Sample]:
        for column, value in zip(self.family.columns, values, strict=True):
            if value is not None:
                yield Sample(column.name, value, labels)

    def _series(self, rows: list[Row], database: str) -> dict[Labels, Series]:
        """Entities with equal labels are one: Prometheus has each series once."""
        found: dict[Labels, Series] = {}
        for row in rows:
            labels = tuple(
                database if column == DATABASE else _word(row[column])
                for _, column in self.family.labels
            )
            new = Series(self._values(row), sum(row[name] or 0 for name in self.family.rank))
            old = found.get(labels)
            found[labels] = self._merged(old, new) if old is not None else new
        return found

    def _values(self, row: Row) -> Values:
        return tuple(
            _value(row[one.column], one.factor, one.column.endswith("_at"))
            for one in self.family.columns
        )

    def _merged(self, one: Series, other: Series) -> Series:
        pairs = zip(one.values, other.values, self._sums, strict=True)
        values = tuple(
            b if a is None else a if b is None else a + b if sums else max(a, b)
            for a, b, sums in pairs
        )
        return Series(values, one.rank + other.rank)


def _word(value: object) -> str:
    return "" if value is None else str(value)


def _value(value: int | None, factor: float, moment: bool) -> float | None:
    if value is None:
        return 0.0 if moment else None  # never, in postgres_exporter's words
    return float(value) if factor == 1.0 else value * factor
