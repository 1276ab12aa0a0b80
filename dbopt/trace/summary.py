"""One statement's counts over all databases, users and applications, and the orders of a list."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from dbopt.errors import UsageError
from dbopt.histogram import Histogram
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.query import Complexity
from dbopt.trace.known import Known
from dbopt.trace.totals import add_errors, latencies, milliseconds

_MAX_NAMES = 100


class Part(Protocol):
    """What one database, user and application counted of a statement (recorder.Counted)."""

    histogram: Histogram
    rows: int
    queue_us: float
    errors: dict[str, int]


@dataclass(frozen=True, slots=True)
class StatementSummary:
    """One statement. `fingerprint` is 16 hex digits, times are milliseconds, `queue_ms` a mean.

    `kind` is a Kind's value, or "other"; `complexity` is None where nothing could be judged.
    Of databases, users and applications there are 100 at most.
    """

    fingerprint: str
    query: str
    kind: str
    complexity: Complexity | None
    calls: int
    rows: int
    errors: dict[str, int]
    total_ms: float
    mean_ms: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    queue_ms: float
    databases: tuple[str, ...]
    users: tuple[str, ...]
    applications: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        values: dict[str, Any] = {name: getattr(self, name) for name in self.__slots__}
        return values | {"complexity": complexity_dict(self.complexity)}


def complexity_dict(complexity: Complexity | None) -> dict[str, Any] | None:
    """A complexity for JSON."""
    if complexity is None:
        return None
    reasons = [{"what": reason.what, "points": reason.points} for reason in complexity.reasons]
    return {"score": complexity.score, "grade": complexity.grade, "reasons": reasons}


class Group:
    """One fingerprint's parts. Histograms are merged only when a quantile is asked for."""

    __slots__ = ("calls", "errors", "fingerprint", "maximum", "parts", "rows", "scopes", "total")

    def __init__(self, fingerprint: int) -> None:
        self.fingerprint = fingerprint
        self.parts: list[Part] = []
        self.scopes: list[tuple[str, str, str]] = []
        self.calls = self.rows = self.errors = 0
        self.total = self.maximum = 0.0

    def add(self, scope: tuple[str, str, str], part: Part) -> None:
        """Add one database, user and application's part."""
        self.parts.append(part)
        self.scopes.append(scope)
        self.calls += part.histogram.count
        self.rows += part.rows
        self.errors += sum(part.errors.values())
        self.total += part.histogram.total
        self.maximum = max(self.maximum, part.histogram.maximum)

    @property
    def histogram(self) -> Histogram:
        """All parts' together."""
        if len(self.parts) == 1:
            return self.parts[0].histogram
        whole = Histogram()
        for part in self.parts:
            one = part.histogram
            whole.merge(one.buckets, one.total, one.maximum)
        return whole

    def summary(self, known: Known) -> StatementSummary:
        """The whole, with what is known of the statement."""
        errors: dict[str, int] = {}
        for part in self.parts:
            add_errors(errors, part.errors)
        queue_us = sum(part.queue_us for part in self.parts)
        databases, users, applications = (
            tuple(sorted({scope[n] for scope in self.scopes})[:_MAX_NAMES]) for n in range(3)
        )
        return StatementSummary(
            fingerprint=fingerprint_hex(self.fingerprint),
            query=known.text,
            kind=known.kind,
            complexity=known.complexity,
            calls=self.calls,
            rows=self.rows,
            errors=dict(sorted(errors.items())),
            **latencies(self.histogram),
            queue_ms=milliseconds(queue_us / self.calls if self.calls else 0.0),
            databases=databases,
            users=users,
            applications=applications,
        )


def group(rows: Iterable[tuple[tuple[int, str, str, str], Part]]) -> list[Group]:
    """The rows of each fingerprint together."""
    groups: dict[int, Group] = {}
    for (fingerprint, *scope), part in rows:
        database, user, application = scope
        found = groups.get(fingerprint)
        if found is None:
            found = groups[fingerprint] = Group(fingerprint)
        found.add((database, user, application), part)
    return list(groups.values())


ORDERS: dict[str, Callable[[Group], float]] = {
    "total": lambda group: group.total,
    "calls": lambda group: group.calls,
    "mean": lambda group: group.total / max(group.calls, 1),
    "p95": lambda group: group.histogram.quantile(0.95),
    "max": lambda group: group.maximum,
    "rows": lambda group: group.rows,
    "errors": lambda group: group.errors,
}
"""By what a list of statements can be ordered, the largest first."""


def order_by(order: str) -> Callable[[Group], float]:
    """The key of an order. Raises UsageError for one that there is not."""
    found = ORDERS.get(order)
    if found is None:
        raise UsageError(
            "There is no such order of statements.", hint=f"Use one of {', '.join(ORDERS)}."
        )
    return found
