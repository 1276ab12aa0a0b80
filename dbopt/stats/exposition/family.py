"""Family: the metrics that one view gives, and the labels that tell their series apart. PURE.

Names, labels and units are postgres_exporter's for what it has (prometheus-community,
collector/*.go). Some break the conventions: a counter without `_total` is untyped, and times whose
name has no unit are milliseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from dbopt.metrics import Definition, Type

DATABASE = ""
"""The column of a label that is the name of the database which was looked at."""
MOST = 200
"""Series of a family without a limit of its own."""

_RESERVED = ("_count", "_sum", "_bucket")
_MAXIMA = ("longest_", "oldest_", "max_")


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a view as one metric; `per` where its name does not tell its unit."""

    column: str
    name: str
    doc: str
    per: float = 0.0

    @property
    def factor(self) -> float:
        """What makes its whole number the metric's unit."""
        if self.per:
            return self.per
        if self.column.endswith("_us"):
            return 1e-6 if "seconds" in self.name else 1e-3
        return 1e-6 if self.column.endswith("_ppm") else 1.0

    @property
    def sums(self) -> bool:
        """Whether several entities together have the sum; else they have the largest."""
        return not (self.column.startswith(_MAXIMA) or self.column.endswith(("_age", "_at")))

    def definition(self, labels: tuple[str, ...], counter: bool) -> Definition:
        """How it is exposed; `counter` tells whether the column only grows."""
        if self.name.endswith("_total"):
            type_ = Type.COUNTER
        elif counter or self.name.endswith(_RESERVED):
            type_ = Type.UNTYPED
        else:
            type_ = Type.GAUGE
        return Definition(self.name, type_, self.doc, labels, absent=True)


@dataclass(frozen=True)
class Family:
    """What one view gives.

    `labels` are (label, column of the view); entities with the same are one series. `limit` is
    the setting of [metrics] that bounds the series, "" for MOST; the largest by the sum of the
    columns `rank` have their own, the rest is one, "other".
    """

    view: str
    labels: tuple[tuple[str, str], ...]
    columns: tuple[Column, ...]
    rank: tuple[str, ...] = ()
    limit: str = ""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The labels' names."""
        return tuple(label for label, _ in self.labels)

    def definitions(self, counters: tuple[str, ...]) -> Iterator[Definition]:
        """One for each column; `counters` are the view's."""
        for column in self.columns:
            yield column.definition(self.names, column.column in counters)
