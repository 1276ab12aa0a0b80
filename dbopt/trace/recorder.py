"""The recorder: what all workers counted, by statement, database, user and application.

It lives in the control process's loop: one thread, and nothing that takes long but judging a
new statement, which `judging` does one at a time.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Iterator, Sequence

from dbopt.histogram import Histogram
from dbopt.metrics import OTHER as OTHER_LABEL
from dbopt.metrics import Bounded, Sample
from dbopt.observation import StatementCount
from dbopt.trace.known import OTHER, UNKNOWN, Book, Judge, Known
from dbopt.trace.summary import StatementSummary, group, order_by
from dbopt.trace.totals import Totals, add_errors

Key = tuple[int, str, str, str]
"""Fingerprint, database, user, application."""

_MAX_DATABASES = 50
_MAX_OTHERS = 1000
_MAX_UNJUDGED = 20_000


class Counted:
    """One statement of one database, user and application. Times are microseconds."""

    __slots__ = ("errors", "histogram", "queue_us", "rows")

    def __init__(self) -> None:
        self.histogram = Histogram()
        self.rows = 0
        self.queue_us = 0.0
        self.errors: dict[str, int] = {}

    def add(self, count: StatementCount) -> None:
        """Add what a worker counted since its last flush."""
        self.histogram.merge(count.buckets, count.total_us, count.max_us)
        self.rows += count.rows
        self.queue_us += count.queue_us
        add_errors(self.errors, count.errors)

    def merge(self, other: Counted) -> None:
        """Add what another counted."""
        one = other.histogram
        self.histogram.merge(one.buckets, one.total, one.maximum)
        self.rows += other.rows
        self.queue_us += other.queue_us
        add_errors(self.errors, other.errors)


class Recorder:
    """Counts by statement, bounded: beyond `max_fingerprints` rows the one that was not seen for
    the longest time goes into "(other)", fingerprint 0. Totals stay exact.
    """

    def __init__(self, max_fingerprints: int, judge: Judge) -> None:
        self.book = Book(judge)
        self.lifetime = Totals()
        self._most = max_fingerprints
        self._databases = Bounded(_MAX_DATABASES, OTHER_LABEL)
        self._kinds: dict[tuple[str, str], int] = {}
        self._unjudged: deque[tuple[int, str, int]] = deque()
        self._wake = asyncio.Event()
        self.clear()

    def clear(self) -> None:
        """Start counting anew. Texts and what /metrics shows stay."""
        self._rows: OrderedDict[Key, Counted] = OrderedDict()
        self._others: dict[Key, Counted] = {}
        self._totals = Totals()

    def add(self, counts: Sequence[StatementCount]) -> None:
        """Add what a worker counted since its last flush."""
        for count in counts:
            self.book.learn(count.fingerprint, count.text)
            self._row(count).add(count)
            self._totals.add(count)
            self.lifetime.add(count)
            self._count_kind(count)
        while len(self._rows) > self._most:
            key, oldest = self._rows.popitem(last=False)
            self._other(key).merge(oldest)

    def _row(self, count: StatementCount) -> Counted:
        key = (count.fingerprint, count.database, count.user, count.application)
        if not count.fingerprint:
            return self._other(key)
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Counted()
        else:
            self._rows.move_to_end(key)
        return row

    def _other(self, key: Key) -> Counted:
        self.book.learn(0, OTHER)
        wanted = (0, *key[1:])
        if wanted not in self._others and len(self._others) >= _MAX_OTHERS:
            wanted = (0, OTHER, OTHER, OTHER)
        return self._others.setdefault(wanted, Counted())

    # Kinds: a counter of kinds must not go down, so that a statement counts once it is judged.

    def _count_kind(self, count: StatementCount) -> None:
        known = self.book.known(count.fingerprint)
        if known.judged:
            self._add_kind(count.database, known.kind, count.calls)
            return
        self._unjudged.append((count.fingerprint, count.database, count.calls))
        self._wake.set()
        if len(self._unjudged) > _MAX_UNJUDGED:
            _, database, calls = self._unjudged.popleft()
            self._add_kind(database, UNKNOWN, calls)

    def _add_kind(self, database: str, kind: str, calls: int) -> None:
        key = (self._databases.of(database), kind)
        self._kinds[key] = self._kinds.get(key, 0) + calls

    def judge_next(self) -> bool:
        """Judge one statement that waits for it; tells whether there was one."""
        if not self._unjudged:
            return False
        number, database, calls = self._unjudged.popleft()
        self._add_kind(database, self.book.judged(number).kind, calls)
        return True

    async def judging(self) -> None:
        """Judge new statements as they come, until cancelled: one, then the loop's other work."""
        while True:
            if not self.judge_next():
                self._wake.clear()
                await self._wake.wait()
            await asyncio.sleep(0)

    # What was seen

    def known(self, fingerprint: int) -> Known:
        """Text, kind and complexity of a statement."""
        return self.book.judged(fingerprint)

    def statements(self, limit: int = 50, order: str = "total") -> list[StatementSummary]:
        """The first `limit` statements in the order given (see summary.ORDERS), since `clear`.

        Raises UsageError for an order that there is not.
        """
        key = order_by(order)
        groups = group((*self._rows.items(), *self._others.items()))
        first = sorted(groups, key=key, reverse=True)[:limit]
        return [one.summary(self.book.judged(one.fingerprint)) for one in first]

    def totals(self) -> Totals:
        """All statements since `clear`."""
        return self._totals

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source: since the start, whatever was cleared."""
        yield from self.lifetime.samples()
        for (database, kind), calls in self._kinds.items():
            yield Sample("dbopt_statements_total", calls, (database, kind))
        yield Sample("dbopt_sql_unparsed_total", self.book.unparsed)
