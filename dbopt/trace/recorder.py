"""The recorder: what all workers counted, by statement, database, user, application, route.

It lives in the control process's loop: one thread, and nothing that takes long but judging a
new statement, which `judging` does one at a time.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from dbopt.clock import Clock, monotonic
from dbopt.metrics import OTHER as OTHER_LABEL
from dbopt.metrics import Bounded, Sample
from dbopt.observation import StatementCount
from dbopt.trace.counted import Counted
from dbopt.trace.known import OTHER, UNKNOWN, Book, Judge, Known
from dbopt.trace.summary import (
    Group,
    Key,
    ScopeSummary,
    StatementSummary,
    group,
    order_by,
    wanted,
)
from dbopt.trace.toprows import TopRows, matching
from dbopt.trace.totals import Totals

_MAX_DATABASES = 50
_MAX_UNJUDGED = 20_000


class Recorder:
    """Counts by statement, database, user, application and route.

    Beyond `max_fingerprints` rows those with the least time lately go into "(other)", fingerprint
    0. Totals stay exact.
    """

    def __init__(self, max_fingerprints: int, judge: Judge, clock: Clock = monotonic) -> None:
        self.book = Book(judge)
        self.lifetime = Totals()
        self._databases = Bounded(_MAX_DATABASES, OTHER_LABEL)
        self._kinds: dict[tuple[str, str], int] = {}
        self._unjudged: deque[tuple[int, str, int]] = deque()
        self._wake = asyncio.Event()
        self._rows = _rows(max_fingerprints, clock)
        self._period = _rows(max_fingerprints, clock)
        self._totals = Totals()

    def clear(self) -> None:
        """Start counting anew. Texts and what /metrics shows stay."""
        self._rows.clear()
        self._totals = Totals()

    def add(self, counts: Sequence[StatementCount]) -> None:
        """Add what a worker counted since its last flush."""
        for count in counts:
            self.book.learn(count.fingerprint, count.text)
            key = (count.fingerprint, count.database, count.user, count.application, count.route)
            for rows in (self._rows, self._period):
                row = rows.row(key, count.total_us) if count.fingerprint else rows.together(key)
                row.add(count)
            self._totals.add(count)
            self.lifetime.add(count)
            self._count_kind(count)

    def take_period(self) -> list[tuple[Key, Counted]]:
        """The rows of what was added since the last call."""
        taken = list(self._period.items())
        self._period.clear()
        return taken

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

    def database_of(self, fingerprint: int) -> str:
        """The database in which a statement took most of its time since `clear`; "" if in none."""
        times: dict[str, float] = {}
        for key, part in self._rows.items():
            if key[0] == fingerprint:
                times[key[1]] = times.get(key[1], 0.0) + part.histogram.total
        return max(times, key=times.__getitem__, default="")

    def statements(
        self, limit: int = 50, order: str = "total", where: Mapping[str, str] | None = None
    ) -> list[StatementSummary]:
        """The first `limit` statements in the order given (see summary.ORDERS), since `clear`.

        `where`: only what has these values of these dimensions. Raises UsageError for an order or
        a dimension that there is not.
        """
        first = self._first("fingerprint", limit, order, where)
        return [one.statement(self.book.judged(int(one.name))) for one in first]

    def scopes(
        self, by: str, limit: int = 50, order: str = "total", where: Mapping[str, str] | None = None
    ) -> list[ScopeSummary]:
        """The same by database, user, application or route."""
        return [one.scope(by) for one in self._first(by, limit, order, where)]

    def _first(
        self, by: str, limit: int, order: str, where: Mapping[str, str] | None
    ) -> list[Group]:
        key = order_by(order)
        rows = matching(self._rows.items(), wanted(where or {}), _at)
        return sorted(group(rows, by), key=key, reverse=True)[:limit]

    def totals(self) -> Totals:
        """All statements since `clear`."""
        return self._totals

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source: since the start, whatever was cleared."""
        yield from self.lifetime.samples()
        for (database, kind), calls in self._kinds.items():
            yield Sample("dbopt_statements_total", calls, (database, kind))
        yield Sample("dbopt_sql_unparsed_total", self.book.unparsed)


def _rows(most: int, clock: Clock) -> TopRows[Key, Counted]:
    last = (0, OTHER, OTHER, OTHER, OTHER)
    return TopRows(most, Counted, lambda key: (0, *key[1:]), last, clock)


def _at(key: Key, place: int) -> int | str:
    return key[place]
