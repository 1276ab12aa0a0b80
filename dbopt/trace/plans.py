"""Plans of slow reads, taken by EXPLAIN soon after they ran: seldom, one at a time, never a write.

What may be explained is decided here (`_wanted`, `_take`); how, by the function that is given.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError
from dbopt.metrics import Sample
from dbopt.observation import SlowStatement
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.sql.query import Kind
from dbopt.trace.known import Judge
from dbopt.trace.planbook import CapturedPlan, PlanBook, PlanLike, Sighting, put
from dbopt.trace.slow import SlowEvent

__all__ = ["CapturedPlan", "PlanCapture", "PlanLike", "TokenBucket"]

log = structlog.get_logger("dbopt.trace")

_MAX_QUEUED = 100
_CUT_SHORT = frozenset({"", "57014"})
"""SQLSTATEs after which a plan tells why: none, and a statement that its timeout ended."""

Explain = Callable[[str, str, str], Awaitable[PlanLike]]
"""The plan of (database, user, text). Raises DboptError."""


class TokenBucket:
    """At most `per_minute` takings a minute, and that many at once."""

    def __init__(self, per_minute: int, clock: Clock) -> None:
        self._clock = clock
        self._tokens = float(per_minute)
        self._at = clock()
        self.per_minute = per_minute

    def take(self) -> bool:
        """Take one, if there is one."""
        now = self._clock()
        grown = self._tokens + (now - self._at) * self.per_minute / 60.0
        self._tokens, self._at = min(grown, float(self.per_minute)), now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class PlanCapture:
    """Takes slow statements, gives the latest plan of each.

    A statement's plan is asked for once in `plan_age` seconds, whether it succeeds or not.
    `subscribe` it to a SlowLog, and run it with `start` and `stop`.
    """

    def __init__(
        self,
        explain: Explain,
        judge: Judge,
        per_minute: int,
        clock: Clock = monotonic,
        plan_age: float = 300.0,
        book: PlanBook | None = None,
    ) -> None:
        self.enabled = True
        self.book = book or PlanBook()
        self.captured = self.failures = self.refused = self.limited = 0
        self._explain = explain
        self._judge = judge
        self._bucket = TokenBucket(per_minute, clock)
        self._clock = clock
        self._plan_age = plan_age
        self._asked: OrderedDict[tuple[int, str], float] = OrderedDict()
        self._queue: asyncio.Queue[SlowStatement] = asyncio.Queue(_MAX_QUEUED)
        self._subscribers: list[Callable[[CapturedPlan], None]] = []
        self._task: asyncio.Task[None] | None = None

    def subscribe(self, subscriber: Callable[[CapturedPlan], None]) -> None:
        """Call it with each plan."""
        self._subscribers.append(subscriber)

    def reload(self, enabled: bool, per_minute: int) -> None:
        """Take new settings."""
        self.enabled = enabled
        self._bucket.per_minute = per_minute

    def offer(self, events: Sequence[SlowEvent]) -> None:
        """Queue those whose plan is wanted. Never waits."""
        for event in events:
            slow = event.statement
            if not self._wanted(event):
                continue
            if self._queue.full() or not self._bucket.take():
                self.limited += 1
                continue
            put(self._asked, (slow.fingerprint, slow.database), self._clock())
            self._queue.put_nowait(slow)

    def _wanted(self, event: SlowEvent) -> bool:
        slow = event.statement
        if not self.enabled or event.kind != Kind.READ or slow.sqlstate not in _CUT_SHORT:
            return False
        if not slow.fingerprint or not slow.sql:
            return False  # Many statements as one, or a text too long to have been sent.
        asked = self._asked.get((slow.fingerprint, slow.database))
        return asked is None or self._clock() - asked >= self._plan_age

    def start(self) -> None:
        """Begin to take plans."""
        self._task = asyncio.create_task(self._work(), name="dbopt-plans")

    async def stop(self) -> None:
        """End, with the plan that is being taken."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def drained(self) -> None:
        """Wait until all that was queued is done."""
        await self._queue.join()

    async def _work(self) -> None:
        while True:
            slow = await self._queue.get()
            try:
                await self._take(slow)
            except DboptError as error:
                self._failed(slow, error.message)
            except Exception as error:
                # The type alone: the words might hold a literal.
                self._failed(slow, type(error).__name__)
            finally:
                self._queue.task_done()

    def _failed(self, slow: SlowStatement, why: str) -> None:
        self.failures += 1
        log.warning("no plan taken", fingerprint=fingerprint_hex(slow.fingerprint), error=why)

    async def _take(self, slow: SlowStatement) -> None:
        # Judged again on the text that ran: the fingerprint's own text may have been cut.
        query = self._judge.analyze(slow.sql)
        if query.kind is not Kind.READ or not query.read_only or not query.parsed:
            self.refused += 1
            return
        plan = await self._explain(slow.database, slow.user, slow.sql)
        sighting = Sighting(slow.fingerprint, slow.database, plan, slow.duration_ms)
        captured = self.book.seen(sighting)
        self.captured += 1
        for subscriber in self._subscribers:
            subscriber(captured)

    def latest(self, fingerprint: int, database: str | None = None) -> CapturedPlan | None:
        """The latest plan of a statement, in one database or in any."""
        return self.book.latest(fingerprint, database)

    def shapes(self, fingerprint: int) -> list[dict[str, Any]]:
        """See PlanBook.shapes."""
        return self.book.shapes(fingerprint)

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield Sample("dbopt_plans_captured_total", self.captured)
        yield Sample("dbopt_plan_failures_total", self.failures)
        yield Sample("dbopt_plan_changes_total", self.book.changes)
