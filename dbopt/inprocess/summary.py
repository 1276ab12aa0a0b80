"""What an application is told of its own statements."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dbopt.histogram import Histogram
from dbopt.observation import StatementCount
from dbopt.sql.fingerprint import fingerprint_hex


@dataclass(frozen=True, slots=True)
class Summary:
    """One statement of one route since the pool was made. Times are milliseconds.

    `text` is redacted. `queue_ms` was waited for connections, all together; so is `total_ms` of
    everything. Quantiles are good to 1 %.
    """

    fingerprint: str
    text: str
    route: str
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


def summaries(counts: Iterable[StatementCount], limit: int) -> list[Summary]:
    """The first `limit` statements by their total time, whoever ran them."""
    groups: dict[tuple[int, str], list[StatementCount]] = {}
    for count in counts:
        groups.setdefault((count.fingerprint, count.route), []).append(count)
    every = [_summary(group) for group in groups.values()]
    return sorted(every, key=lambda one: one.total_ms, reverse=True)[:limit]


def _summary(group: list[StatementCount]) -> Summary:
    histogram = Histogram()
    errors: dict[str, int] = {}
    for count in group:
        histogram.merge(count.buckets, count.total_us, count.max_us)
        for sqlstate, number in count.errors.items():
            errors[sqlstate] = errors.get(sqlstate, 0) + number
    first = group[0]
    p50, p95, p99 = (histogram.quantile(q) / 1e3 for q in (0.5, 0.95, 0.99))
    return Summary(
        fingerprint_hex(first.fingerprint), first.text, first.route,
        calls=histogram.count,
        rows=sum(count.rows for count in group),
        errors=errors,
        total_ms=histogram.total / 1e3,
        mean_ms=histogram.mean / 1e3,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=histogram.maximum / 1e3,
        queue_ms=sum(count.queue_us for count in group) / 1e3,
    )  # fmt: skip
