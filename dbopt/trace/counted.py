"""Counted: what one statement of one scope counted; and the sums that are shown of several."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from dbopt.histogram import Histogram
from dbopt.observation import StatementCount
from dbopt.trace.totals import add_errors, latencies, milliseconds


class Counted:
    """One statement of one database, user, application and route. Times are microseconds.

    `received` are bytes from the client, `sent` bytes to it.
    """

    __slots__ = (
        "errors", "floor", "histogram", "queue_us", "received", "rows", "sent", "transfer_us",
        "worth",
    )  # fmt: skip

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.rows = self.received = self.sent = 0
        self.queue_us = self.transfer_us = 0.0
        self.errors: dict[str, int] = {}
        self.worth = self.floor = 0.0

    def add(self, count: StatementCount) -> None:
        """Add what a worker counted since its last flush."""
        self.histogram.merge(count.buckets, count.total_us, count.max_us)
        self.rows += count.rows
        self.queue_us += count.queue_us
        self.transfer_us += count.transfer_us
        self.received += count.received
        self.sent += count.sent
        add_errors(self.errors, count.errors)

    def merge(self, other: Counted) -> None:
        """Add what another counted."""
        one = other.histogram
        self.histogram.merge(one.buckets, one.total, one.maximum)
        self.rows += other.rows
        self.queue_us += other.queue_us
        self.transfer_us += other.transfer_us
        self.received += other.received
        self.sent += other.sent
        add_errors(self.errors, other.errors)


def together(parts: Iterable[Counted]) -> Counted:
    """All of them as one; not a copy where there is just one."""
    every = list(parts)
    if len(every) == 1:
        return every[0]
    whole = Counted()
    for part in every:
        whole.merge(part)
    return whole


@dataclass(frozen=True, slots=True)
class Measures:
    """What is shown of calls. Times are milliseconds; `queue_ms`, `server_ms` and `transfer_ms`
    are what a call took of each on average, and add up to `mean_ms`."""

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
    server_ms: float
    transfer_ms: float
    received_bytes: int
    sent_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {field.name: getattr(self, field.name) for field in fields(Measures)}


def measures(whole: Counted) -> dict[str, Any]:
    """The values of Measures by name."""
    histogram = whole.histogram
    calls = histogram.count or 1
    server_us = histogram.total - whole.queue_us - whole.transfer_us
    return {
        "calls": histogram.count,
        "rows": whole.rows,
        "errors": dict(sorted(whole.errors.items())),
        **latencies(histogram),
        "queue_ms": milliseconds(whole.queue_us / calls),
        # Rounding of the parts must not make less than nothing of it.
        "server_ms": milliseconds(max(server_us, 0.0) / calls),
        "transfer_ms": milliseconds(whole.transfer_us / calls),
        "received_bytes": whole.received,
        "sent_bytes": whole.sent,
    }
