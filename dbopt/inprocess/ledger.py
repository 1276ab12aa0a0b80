"""Sums of what was observed: of all since the start for the application, and of what is not sent.

Bounded: beyond `capacity` rows the rest become one row with fingerprint 0; totals stay exact.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from typing import TypeVar

from dbopt.inprocess.counting import OTHER
from dbopt.inprocess.messages import Report
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount

Key = tuple[int, str, str, str, str]
Group = tuple[str, str, str, str]

K = TypeVar("K", int, str)

_MOST_TEXT = 512 << 10
_MOST_ROWS = 500


class Ledger:
    """Adds Reports up. `max_slow`: slow statements kept; the oldest are lost, and counted."""

    def __init__(self, capacity: int = 5000, max_slow: int = 1000) -> None:
        self._capacity = capacity
        self._max_slow = max_slow
        self.clear()

    def clear(self) -> None:
        """Start over."""
        self.counts: dict[Key, StatementCount] = {}
        self.transactions: dict[Group, TransactionCount] = {}
        self.repeated: dict[Key, Repeated] = {}
        self.slow: deque[SlowStatement] = deque()
        self.lost = 0

    def __bool__(self) -> bool:
        return bool(self.counts or self.transactions or self.slow or self.repeated)

    def add(self, report: Report) -> None:
        """Add what a report tells."""
        for count in report.counts:
            self._add_count(count)
        for one in report.transactions:
            group = (one.database, one.user, one.application, one.route)
            before = self.transactions.get(group)
            self.transactions[group] = one if before is None else _both(before, one)
        for many in report.repeated:
            key = (many.fingerprint, many.database, many.user, many.application, many.route)
            if key in self.repeated or len(self.repeated) < self._capacity:
                seen = self.repeated.get(key)
                self.repeated[key] = many if seen is None else _more(seen, many)
        self.slow.extend(report.slow)
        self.lost += report.lost
        while len(self.slow) > self._max_slow:
            self.slow.popleft()
            self.lost += 1

    def _add_count(self, count: StatementCount) -> None:
        key = (count.fingerprint, count.database, count.user, count.application, count.route)
        before = self.counts.get(key)
        if before is None and len(self.counts) >= self._capacity:
            key = (0, *key[1:4], "")
            before = self.counts.get(key)
            count = _as(count, 0, OTHER, "")
        self.counts[key] = count if before is None else _sum(before, count)

    def pieces(self) -> Iterator[Report]:
        """All of it, in reports of a size that can be sent."""
        rows: list[StatementCount] = []
        size = 0
        for count in self.counts.values():
            rows.append(count)
            size += len(count.text)
            if size > _MOST_TEXT or len(rows) >= _MOST_ROWS:
                yield Report(counts=rows)
                rows, size = [], 0
        yield Report(
            counts=rows,
            transactions=list(self.transactions.values()),
            repeated=list(self.repeated.values()),
            lost=self.lost,
        )
        for slow in _by_size(self.slow):
            yield Report(slow=slow)


def _by_size(statements: Iterable[SlowStatement]) -> Iterator[list[SlowStatement]]:
    part: list[SlowStatement] = []
    size = 0
    for slow in statements:
        part.append(slow)
        size += len(slow.text) + len(slow.sql)
        if size > _MOST_TEXT:
            yield part
            part, size = [], 0
    if part:
        yield part


def _sum(a: StatementCount, b: StatementCount) -> StatementCount:
    return StatementCount(
        a.fingerprint, a.text or b.text, a.database, a.user, a.application,
        calls=a.calls + b.calls,
        rows=a.rows + b.rows,
        errors=_merged(a.errors, b.errors),
        queue_us=a.queue_us + b.queue_us,
        total_us=a.total_us + b.total_us,
        max_us=max(a.max_us, b.max_us),
        buckets=_merged(a.buckets, b.buckets),
        route=a.route,
        transfer_us=a.transfer_us + b.transfer_us,
        received=a.received + b.received,
        sent=a.sent + b.sent,
    )  # fmt: skip


def _as(count: StatementCount, fingerprint: int, text: str, route: str) -> StatementCount:
    return StatementCount(
        fingerprint, text, count.database, count.user, count.application, count.calls,
        count.rows, count.errors, count.queue_us, count.total_us, count.max_us, count.buckets,
        route, count.transfer_us, count.received, count.sent,
    )  # fmt: skip


def _both(a: TransactionCount, b: TransactionCount) -> TransactionCount:
    return TransactionCount(
        a.database, a.user, a.application, a.route,
        count=a.count + b.count,
        failed=a.failed + b.failed,
        statements=a.statements + b.statements,
        total_us=a.total_us + b.total_us,
        max_us=max(a.max_us, b.max_us),
        idle_us=a.idle_us + b.idle_us,
        max_idle_us=max(a.max_idle_us, b.max_idle_us),
        buckets=_merged(a.buckets, b.buckets),
    )  # fmt: skip


def _more(a: Repeated, b: Repeated) -> Repeated:
    return Repeated(
        a.fingerprint, a.database, a.user, a.application, a.route,
        transactions=a.transactions + b.transactions,
        calls=a.calls + b.calls,
        most=max(a.most, b.most),
    )  # fmt: skip


def _merged(a: dict[K, int], b: dict[K, int]) -> dict[K, int]:
    """Both dicts' numbers, key by key."""
    out = dict(a)
    for key, number in b.items():
        out[key] = out.get(key, 0) + number
    return out
