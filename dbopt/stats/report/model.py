"""What a report is made of: remarks, charts, and tables of raw values. PURE.

One shape for all four ways of showing it. Values keep the units of store.frame: `us` are
microseconds, `bytes` bytes, `share` 0 to 1, `at` epoch seconds; None was not measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dbopt.sql.findings import Severity

FORMAT = 1
"""The version of the JSON document's shape: it grows when a name changes or goes."""

Value = int | float | str | None
UNITS = ("text", "statement", "count", "number", "us", "bytes", "share", "rate", "at", "times")
"""text and statement are strings; `rate` is a number a second, `times` a factor."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. `least`: it is the first to go where there is little room; larger goes earlier.

    `bar`: a bar shows its share of the largest.
    """

    name: str
    title: str
    unit: str = "count"
    least: int = 0
    bar: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it is aligned right and sorted by size."""
        return self.unit not in ("text", "statement")


@dataclass(frozen=True, slots=True)
class Section:
    """A table: rows of values in the order of `columns`. `id` is its anchor and its JSON name.

    A column of unit `statement` holds a fingerprint, 16 hex digits, or "" for none. `intro` says
    what is to be seen, `left_out` how many rows more there are.
    """

    id: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    intro: str = ""
    left_out: int = 0

    def records(self) -> list[dict[str, Value]]:
        """The rows by the columns' names."""
        names = [column.name for column in self.columns]
        return [dict(zip(names, row, strict=True)) for row in self.rows]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "title": self.title,
            "units": {column.name: column.unit for column in self.columns},
            "rows": self.records(),
            "left_out": self.left_out,
        }


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: a value for each of the chart's times, None where there is none.

    `kind` names its colour: a wait class, or "" for the next one of the palette.
    """

    name: str
    values: tuple[float | None, ...]
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """Values over time. `times` are the ends of equal steps of `step` seconds, epoch seconds.

    `limit` is drawn as a line across, if there is one; `events` are moments with their words.
    """

    id: str
    title: str
    unit: str
    step: float
    times: tuple[float, ...]
    series: tuple[Series, ...]
    stacked: bool = False
    limit: tuple[str, float] | None = None
    marks: tuple[tuple[float, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "title": self.title,
            "unit": self.unit,
            "step": self.step,
            "times": list(self.times),
            "series": [{"name": s.name, "values": list(s.values)} for s in self.series],
        }


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that a DBA would say. `evidence` are the numbers; `section` where to look.

    `weight` orders remarks of one severity, the larger first.
    """

    rule: str
    severity: Severity
    title: str
    evidence: str
    remedy: str = ""
    section: str = ""
    weight: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "rule": self.rule,
            "severity": self.severity.name.lower(),
            "title": self.title,
            "evidence": self.evidence,
            "remedy": self.remedy,
            "section": self.section,
        }


@dataclass(frozen=True, slots=True)
class Group:
    """Sections and charts under one heading."""

    id: str
    title: str
    charts: tuple[Chart, ...] = ()
    sections: tuple[Section, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """A period's report. `database` is "" where it is of all; `tiles` are its key figures.

    `notes` limit what it tells (gaps, resets); `unseen` is what was not examined: words, remedy.
    `texts` are redacted statements by fingerprint (16 hex digits).
    """

    server: str
    database: str
    since: datetime
    until: datetime
    verdict: str
    remarks: tuple[Remark, ...]
    tiles: tuple[tuple[str, str, str], ...]
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()
    unseen: tuple[tuple[str, str], ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)
    step: float = 60.0

    @property
    def seconds(self) -> float:
        """The period's length."""
        return (self.until - self.since).total_seconds()

    @property
    def sections(self) -> tuple[Section, ...]:
        """All tables in their order."""
        return tuple(section for group in self.groups for section in group.sections)

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All charts in their order."""
        return tuple(chart for group in self.groups for chart in group.charts)

    def to_dict(self) -> dict[str, Any]:
        """The stable JSON shape, see docs/report.md: times are ISO 8601 in UTC."""
        return {
            "format": FORMAT,
            "server": self.server,
            "database": self.database,
            "from": self.since.astimezone(UTC).isoformat(),
            "to": self.until.astimezone(UTC).isoformat(),
            "seconds": self.seconds,
            "verdict": self.verdict,
            "summary": [remark.to_dict() for remark in self.remarks],
            "key_figures": [{"name": n, "value": v, "note": w} for n, v, w in self.tiles],
            "sections": {section.id: section.to_dict() for section in self.sections},
            "charts": {chart.id: chart.to_dict() for chart in self.charts},
            "notes": list(self.notes),
            "not_examined": [{"what": words, "remedy": remedy} for words, remedy in self.unseen],
            "statements": dict(self.texts),
        }


def top(
    section: Section, rows: Sequence[tuple[Value, ...]], by: str, limit: int, least: float = 0.0
) -> Section:
    """The section with the `limit` rows of the largest `by`, those alone that exceed `least`."""
    at = [column.name for column in section.columns].index(by)

    def size(row: tuple[Value, ...]) -> float:
        value = row[at]
        return float(value) if isinstance(value, int | float) else float("-inf")

    kept = sorted(
        (row for row in rows if size(row) > least), key=lambda row: (-size(row), str(row))
    )
    return Section(
        section.id, section.title, section.columns, tuple(kept[:limit]), section.intro,
        max(0, len(kept) - limit),
    )  # fmt: skip
