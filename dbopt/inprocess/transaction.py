"""A transaction of one connection, from its BEGIN to its end. Times are seconds."""

from __future__ import annotations

from dbopt.inprocess.counting import Count, Counting, Ended, Scope

_MOST_TEXTS = 1000


class Transaction:
    """What ran in it, and how long it waited for the application (`idle`).

    `scope` is who began it, with the route of its first statement that has one. `broken`: a
    statement has failed, so that it can only be rolled back.
    """

    __slots__ = ("broken", "counts", "idle", "last", "max_idle", "scope", "start", "statements")

    def __init__(self, scope: Scope, start: float, now: float) -> None:
        self.scope, self.start, self.last = scope, start, now
        self.idle = self.max_idle = 0.0
        self.statements = 0
        self.counts: dict[Count, int] = {}
        self.broken = False

    def waited(self, start: float, now: float) -> None:
        """The connection was busy from `start` to `now`."""
        idle = start - self.last
        if idle > 0.0:
            self.idle += idle
            if idle > self.max_idle:
                self.max_idle = idle
        self.last = now

    def ran(self, count: Count, alone: bool) -> None:
        """A statement ran in it. One of a pipeline or an executemany is not `alone`: that many of
        them run in one round trip is no N+1 but what mends one."""
        self.statements += 1
        if not self.scope.origin.route and count.scope.origin.route:
            self.scope = count.scope  # of a text with tags
        if not alone:
            return
        counts = self.counts
        known = counts.get(count)
        if known is not None:
            counts[count] = known + 1
        elif len(counts) < _MOST_TEXTS:
            counts[count] = 1

    def end(self, counting: Counting, now: float, failed: bool) -> None:
        """It ended."""
        counting.end(
            Ended(
                self.scope, (now - self.start) * 1e6, self.idle * 1e6, self.max_idle * 1e6,
                failed, self.statements, self.counts,
            )
        )  # fmt: skip
