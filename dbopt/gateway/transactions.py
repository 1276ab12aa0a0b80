"""Transactions: what a worker counts of explicit transaction blocks, and what repeats in them.

A block is from the answer to its BEGIN to the answer to its end. Its statements are those between
them, and a COMMIT that fails. What runs outside of one pays nothing. Times are monotonic seconds
where they come in, and microseconds where they go out.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from dbopt.histogram import bucket_of
from dbopt.observation import Repeated, TransactionCount

if TYPE_CHECKING:
    from dbopt.gateway.scopes import Count, Scope

_MAX_LISTED: Final = 1000
"""Executions of a transaction that are listed before they are added up."""
_MAX_DISTINCT: Final = 500
"""Distinct statements of one transaction that are remembered: the most frequent."""
_MAX_REPEATED: Final = 1000
"""Distinct statements in a report that repeat."""


class Transaction:
    """One open block. `opener` is the request that began it, if that had others in flight.

    `idle_since` is when the last statement was done, 0.0 while one runs.
    """

    __slots__ = (
        "_calls", "_idle_us", "_max_idle_us", "_ran", "_scope", "_statements", "began",
        "idle_since", "opener",
    )  # fmt: skip

    def __init__(self, scope: Scope, now: float, opener: object = None) -> None:
        self._scope = scope
        self.began = self.idle_since = now
        self.opener = opener
        self._idle_us = self._max_idle_us = 0.0
        self._statements = 0
        self._ran: list[Count] = []
        self._calls: Counter[Count] | None = None

    def ran(self, count: Count) -> None:
        """A statement has run in it, well or not."""
        ran = self._ran
        ran.append(count)
        if len(ran) >= _MAX_LISTED:
            self._add_up()

    def ran_alone(self, count: Count, sent: float, now: float) -> None:
        """The same of one that was sent when nothing was in flight, and is done.

        Without `went_on` and `ran`: two calls would be felt by each statement of a block.
        """
        idle_us = (sent - self.idle_since) * 1e6 if self.idle_since else 0.0
        self._idle_us += idle_us
        if idle_us > self._max_idle_us:
            self._max_idle_us = idle_us
        self.idle_since = now
        ran = self._ran
        ran.append(count)
        if len(ran) >= _MAX_LISTED:
            self._add_up()

    def went_on(self, now: float) -> None:
        """The client has sent something: if nothing was in flight, it was idle until now."""
        since = self.idle_since
        if since:
            self.idle_since = 0.0
            idle_us = (now - since) * 1e6
            self._idle_us += idle_us
            if idle_us > self._max_idle_us:
                self._max_idle_us = idle_us

    def over(self, now: float, failed: bool) -> None:
        """It has ended; `failed`: in a rollback, or because somebody was gone."""
        self.went_on(now)
        scope = self._routed_scope()
        total_us = (now - self.began) * 1e6
        blocks = scope.blocks
        if blocks is None:
            blocks = scope.blocks = Blocks()
        if not blocks.count:
            scope.counts.seen_blocks.append(scope)
        statements = self._statements + len(self._ran)
        blocks.add(total_us, failed, statements, self._idle_us, self._max_idle_us)
        least = scope.counts.n_plus_one
        if 0 < least <= statements:
            self._note_repeated(least)

    def _add_up(self) -> None:
        if self._calls is None:
            self._calls = Counter()
        self._calls.update(self._ran)
        self._statements += len(self._ran)
        self._ran.clear()
        if len(self._calls) > _MAX_DISTINCT:
            self._calls = Counter(dict(self._calls.most_common(_MAX_DISTINCT)))

    def _routed_scope(self) -> Scope:
        """That of its first statement with a route; else that of its BEGIN."""
        if self._scope.route:
            return self._scope
        for count in self._calls or self._ran:
            if count.scope.route:
                return count.scope
        return self._scope

    def _note_repeated(self, least: int) -> None:
        self._add_up()
        repeated = self._scope.counts.repeated
        for count, calls in (self._calls or {}).items():
            if calls >= least and count.fingerprint:  # of the "other" one nobody knows
                known = repeated.get(count)
                if known is None:
                    if len(repeated) >= _MAX_REPEATED:
                        continue
                    known = repeated[count] = [0, 0, 0]
                known[0] += 1
                known[1] += calls
                known[2] = max(known[2], calls)


class Blocks:
    """The blocks of one Scope since the last flush."""

    __slots__ = (
        "buckets", "count", "failed", "idle_us", "max_idle_us", "max_us", "statements", "total_us",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = self.failed = self.statements = 0
        self.total_us = self.max_us = self.idle_us = self.max_idle_us = 0.0
        self.buckets: dict[int, int] = {}

    def add(
        self, total_us: float, failed: bool, statements: int, idle_us: float, max_idle_us: float
    ) -> None:
        """Count one that is over."""
        bucket = bucket_of(total_us)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.count += 1
        self.failed += failed
        self.statements += statements
        self.total_us += total_us
        self.max_us = max(self.max_us, total_us)
        self.idle_us += idle_us
        self.max_idle_us = max(self.max_idle_us, max_idle_us)

    def message(self, scope: Scope) -> TransactionCount:
        """As it is reported."""
        return TransactionCount(
            database=scope.database,
            user=scope.user,
            application=scope.application,
            route=scope.route,
            count=self.count,
            failed=self.failed,
            statements=self.statements,
            total_us=self.total_us,
            max_us=self.max_us,
            idle_us=self.idle_us,
            max_idle_us=self.max_idle_us,
            buckets=self.buckets,
        )


def repeated_message(count: Count, found: list[int]) -> Repeated:
    """A statement that repeats, as it is reported. `found`: transactions, calls, most."""
    scope = count.scope
    return Repeated(
        count.fingerprint, scope.database, scope.user, scope.application, scope.route, *found
    )
