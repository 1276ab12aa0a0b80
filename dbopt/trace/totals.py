"""Sums over all statements: exact, whatever the bounds on single ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from dbopt.histogram import Histogram
from dbopt.metrics import OTHER, Bounded, Sample
from dbopt.observation import StatementCount

_MAX_DATABASES = 50
_MAX_SQLSTATES = 100
"""A function can raise any SQLSTATE it likes."""


class Totals:
    """Calls, rows, errors by SQLSTATE, and a histogram by database."""

    def __init__(self) -> None:
        self.rows = 0
        self.queue_us = self.transfer_us = 0.0
        self.received = self.sent = 0
        self.errors: dict[str, int] = {}
        self.by_database: dict[str, Histogram] = {}
        self._databases = Bounded(_MAX_DATABASES, OTHER)
        self._sqlstates = Bounded(_MAX_SQLSTATES, OTHER)

    def add(self, count: StatementCount) -> None:
        """Add what one statement counted."""
        self.rows += count.rows
        self.queue_us += count.queue_us
        self.transfer_us += count.transfer_us
        self.received += count.received
        self.sent += count.sent
        add_errors(self.errors, count.errors, self._sqlstates)
        database = self._databases.of(count.database)
        histogram = self.by_database.setdefault(database, Histogram())
        histogram.merge(count.buckets, count.total_us, count.max_us)

    @property
    def histogram(self) -> Histogram:
        """All databases together, in microseconds."""
        whole = Histogram()
        for one in self.by_database.values():
            whole.merge(one.buckets, one.total, one.maximum)
        return whole

    def to_dict(self) -> dict[str, object]:
        """For JSON; times in milliseconds."""
        whole = self.histogram
        return {
            "calls": whole.count,
            "rows": self.rows,
            "errors": dict(sorted(self.errors.items())),
            "queue_ms": milliseconds(self.queue_us / max(whole.count, 1)),
            "transfer_ms": milliseconds(self.transfer_us / max(whole.count, 1)),
            "received_bytes": self.received,
            "sent_bytes": self.sent,
            **latencies(whole),
        }

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        for sqlstate, count in self.errors.items():
            yield Sample("dbopt_statement_errors_total", count, (sqlstate,))
        for database, histogram in self.by_database.items():
            yield Sample("dbopt_statement_duration_seconds", histogram, (database,))


def add_errors(
    errors: dict[str, int], more: Mapping[str, int], bounded: Bounded[str] | None = None
) -> None:
    """Add counts by SQLSTATE; without `bounded`, of 100 of them at most."""
    for sqlstate, count in more.items():
        if bounded:
            key = bounded.of(sqlstate)
        else:
            full = sqlstate not in errors and len(errors) >= _MAX_SQLSTATES
            key = OTHER if full else sqlstate
        errors[key] = errors.get(key, 0) + count


def latencies(histogram: Histogram) -> dict[str, float]:
    """Total, mean, quantiles and maximum in milliseconds; each quantile is good to 1 %."""
    return {
        "total_ms": milliseconds(histogram.total),
        "mean_ms": milliseconds(histogram.mean),
        "p50_ms": milliseconds(histogram.quantile(0.50)),
        "p95_ms": milliseconds(histogram.quantile(0.95)),
        "p99_ms": milliseconds(histogram.quantile(0.99)),
        "max_ms": milliseconds(histogram.maximum),
    }


def milliseconds(microseconds: float) -> float:
    """Milliseconds, to the microsecond."""
    return round(microseconds / 1000.0, 3)
