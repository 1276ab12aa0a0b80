"""Sums over what was counted, by statement or by who ran it, and the orders of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dbopt.errors import UsageError
from dbopt.histogram import Histogram
from dbopt.sql.fingerprint import fingerprint_hex, fingerprint_int
from dbopt.sql.query import Complexity
from dbopt.trace.counted import Counted, Measures, measures, together
from dbopt.trace.known import Known

DIMENSIONS = ("fingerprint", "database", "user", "application", "route")
"""What a row is told apart by, in the order of its key."""
_MAX_NAMES = 100

Key = tuple[int, str, str, str, str]
"""Fingerprint, database, user, application, route."""


@dataclass(frozen=True, slots=True)
class StatementSummary(Measures):
    """One statement. `fingerprint` is 16 hex digits.

    `kind` is a Kind's value, or "other"; `complexity` is None where nothing could be judged.
    Of databases, users, applications and routes there are 100 at most.
    """

    fingerprint: str
    query: str
    kind: str
    complexity: Complexity | None
    databases: tuple[str, ...]
    users: tuple[str, ...]
    applications: tuple[str, ...]
    routes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        head = {"fingerprint": self.fingerprint, "query": self.query, "kind": self.kind}
        return {
            **head,
            "complexity": complexity_dict(self.complexity),
            **Measures.to_dict(self),
            "databases": self.databases,
            "users": self.users,
            "applications": self.applications,
            "routes": self.routes,
        }


@dataclass(frozen=True, slots=True)
class ScopeSummary(Measures):
    """All of one database, user, application or route (`by` says which); `statements` distinct."""

    by: str
    name: str
    statements: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {self.by: self.name, "statements": self.statements, **Measures.to_dict(self)}


def complexity_dict(complexity: Complexity | None) -> dict[str, Any] | None:
    """A complexity for JSON."""
    if complexity is None:
        return None
    reasons = [{"what": reason.what, "points": reason.points} for reason in complexity.reasons]
    return {"score": complexity.score, "grade": complexity.grade, "reasons": reasons}


class Group:
    """Rows with one value of a dimension. They are merged only when a quantile is asked for."""

    __slots__ = ("calls", "errors", "keys", "maximum", "name", "parts", "rows", "total", "worth")

    def __init__(self, name: int | str) -> None:
        self.name = name
        self.parts: list[Counted] = []
        self.keys: list[Key] = []
        self.calls = self.rows = self.errors = 0
        self.total = self.maximum = self.worth = 0.0

    def add(self, key: Key, part: Counted) -> None:
        """Add one row."""
        self.parts.append(part)
        self.keys.append(key)
        self.calls += part.histogram.count
        self.rows += part.rows
        self.errors += sum(part.errors.values())
        self.total += part.histogram.total
        self.maximum = max(self.maximum, part.histogram.maximum)
        self.worth += part.worth

    @property
    def histogram(self) -> Histogram:
        """All parts' together."""
        return together(self.parts).histogram

    def statement(self, known: Known) -> StatementSummary:
        """A fingerprint's, with what is known of the statement."""
        databases, users, applications, routes = (
            tuple(sorted({str(key[place]) for key in self.keys} - {""})[:_MAX_NAMES])
            for place in range(1, len(DIMENSIONS))
        )
        return StatementSummary(
            **measures(together(self.parts)),
            fingerprint=fingerprint_hex(int(self.name)),
            query=known.text,
            kind=known.kind,
            complexity=known.complexity,
            databases=databases,
            users=users,
            applications=applications,
            routes=routes,
        )

    def scope(self, by: str) -> ScopeSummary:
        """A database's, user's, application's or route's."""
        distinct = len({key[0] for key in self.keys})
        return ScopeSummary(
            **measures(together(self.parts)), by=by, name=str(self.name), statements=distinct
        )


def group(rows: Iterable[tuple[Key, Counted]], by: str = "fingerprint") -> list[Group]:
    """The rows with each value of a dimension together. Raises UsageError for no dimension."""
    place = place_of(by)
    groups: dict[int | str, Group] = {}
    for key, part in rows:
        found = groups.get(key[place])
        if found is None:
            found = groups[key[place]] = Group(key[place])
        found.add(key, part)
    return list(groups.values())


def place_of(dimension: str, dimensions: tuple[str, ...] = DIMENSIONS) -> int:
    """Where a dimension is in a key. Raises UsageError for one that there is not."""
    if dimension not in dimensions:
        raise UsageError(
            "There is no such dimension to sum by.", hint=f"Use one of {', '.join(dimensions)}."
        )
    return dimensions.index(dimension)


def wanted(
    where: Mapping[str, str], dimensions: tuple[str, ...] = DIMENSIONS
) -> dict[int, int | str]:
    """What keys must have, by place. A fingerprint is given as 16 hex digits, else UsageError."""
    found: dict[int, int | str] = {}
    for dimension, value in where.items():
        place = place_of(dimension, dimensions)
        found[place] = fingerprint_given(value) if dimension == "fingerprint" else value
    return found


def fingerprint_given(digits: str) -> int:
    """A fingerprint that a person gave. Raises UsageError."""
    try:
        return fingerprint_int(digits.strip().lower())
    except ValueError:
        raise UsageError(
            "A fingerprint is 16 hexadecimal digits.",
            hint="/statements and `dbopt status` list them.",
        ) from None


ORDERS: dict[str, Callable[[Group], float]] = {
    "total": lambda group: group.total,
    "calls": lambda group: group.calls,
    "mean": lambda group: group.total / max(group.calls, 1),
    "p95": lambda group: group.histogram.quantile(0.95),
    "max": lambda group: group.maximum,
    "rows": lambda group: group.rows,
    "errors": lambda group: group.errors,
    "recent": lambda group: group.worth,
}
"""By what a list of statements can be ordered, the largest first; "recent" is the time lately."""


def order_by(order: str) -> Callable[[Group], float]:
    """The key of an order. Raises UsageError for one that there is not."""
    found = ORDERS.get(order)
    if found is None:
        raise UsageError(
            "There is no such order of statements.", hint=f"Use one of {', '.join(ORDERS)}."
        )
    return found
