"""The slow log: the latest statements above the threshold, and who wants to hear of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from heapq import merge, nlargest
from itertools import islice
from typing import Any, Protocol

import structlog

from dbopt.clock import Clock, wall
from dbopt.errors import UsageError
from dbopt.metrics import Sample
from dbopt.observation import SlowStatement
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.store.slow import trace_id

log = structlog.get_logger("dbopt.trace")


WAITS_AFTER = 2.0
"""Seconds after its end at which a statement's waits are looked up: samples come once a second."""


class Waits(Protocol):
    """dbopt.stats.samples.Samples."""

    def waits(self, pid: int, started: float, ended: float) -> dict[str, int]:
        """What a backend waited for between two times (epoch seconds): "CPU" or "Type:Event"."""
        ...


@dataclass(frozen=True, slots=True)
class SlowEvent:
    """One slow statement, or one that failed, and its kind (a Kind's value, or "other").

    `waits` are the samples by what it waited for, filled in a moment after its end.
    """

    statement: SlowStatement
    kind: str
    waits: dict[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> float:
        """Epoch seconds."""
        return self.statement.started + self.statement.duration_ms / 1e3

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return bool(self.statement.sqlstate)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. The text as it ran (`sql`) is never in it."""
        slow = self.statement
        return {
            "type": "query_error" if self.failed else "slow_query",
            "fingerprint": fingerprint_hex(slow.fingerprint),
            "query": slow.text,
            "kind": self.kind,
            "database": slow.database,
            "user": slow.user,
            "application": slow.application,
            "route": slow.route,
            "started": datetime.fromtimestamp(slow.started, UTC).isoformat(timespec="milliseconds"),
            "duration_ms": round(slow.duration_ms, 3),
            "queue_ms": round(slow.queue_ms, 3),
            "server_ms": round(slow.server_ms, 3),
            "transfer_ms": round(slow.transfer_ms, 3),
            "rows": slow.rows,
            "received_bytes": slow.received,
            "sent_bytes": slow.sent,
            "sqlstate": slow.sqlstate,
            "backend_pid": slow.backend_pid,
            "trace_id": trace_id(slow.traceparent),
            "tags": dict(slow.tags),
            "waits": dict(self.waits),
        }


Subscriber = Callable[[Sequence[SlowEvent]], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which slow statements: those with these values, that began in `since` <= t < `until`.

    `fields` are SlowStatement's: database, user, application, route, fingerprint. `errors`: only
    those that failed. `order` is "time" (the newest first) or "duration".
    """

    fields: tuple[tuple[str, object], ...] = ()
    errors: bool = False
    since: float = 0.0
    until: float = float("inf")
    order: str = "time"

    def __post_init__(self) -> None:
        """Raise UsageError for an order that there is not."""
        if self.order not in ("time", "duration"):
            raise UsageError(
                "There is no such order of slow statements.", hint="Use one of time, duration."
            )

    def fits(self, event: SlowEvent) -> bool:
        """Whether this one is meant."""
        slow = event.statement
        return (
            self.since <= slow.started < self.until
            and (event.failed or not self.errors)
            and all(getattr(slow, name) == value for name, value in self.fields)
        )


class SlowLog:
    """The last `max_slow` slow statements, and as many that failed faster than `threshold_ms`.

    `kind_of` tells a fingerprint's kind. `count` (slow ones) and `errors` (all that failed) go on
    beyond what is kept.
    """

    def __init__(
        self,
        max_slow: int,
        kind_of: Callable[[int], str],
        clock: Clock = wall,
        threshold_ms: float = 0.0,
    ) -> None:
        self.count = 0
        self.errors = 0
        self.threshold_ms = threshold_ms
        self._kind_of = kind_of
        self._clock = clock
        self._events: deque[SlowEvent] = deque(maxlen=max_slow)
        self._failed: deque[SlowEvent] = deque(maxlen=max_slow)
        self._unsettled: deque[SlowEvent] = deque(maxlen=max_slow)
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call it with each batch. What it raises is logged and harms nobody else."""
        self._subscribers.append(subscriber)

    def add(self, statements: Sequence[SlowStatement]) -> None:
        """Keep what a worker found slow, and tell the subscribers."""
        if not statements:
            return
        events = [SlowEvent(slow, self._kind_of(slow.fingerprint)) for slow in statements]
        slow = [event for event in events if self.is_slow(event.statement)]
        # Fast errors have a place of their own: a storm of them must not push slow ones out.
        self._failed.extend(event for event in events if not self.is_slow(event.statement))
        self._events.extend(slow)
        self._unsettled.extend(slow)
        self.count += len(slow)
        self.errors += sum(event.failed for event in events)
        for subscriber in self._subscribers:
            try:
                subscriber(events)
            except Exception as error:
                # The type alone: the words might hold a literal.
                log.error("a subscriber of slow statements failed", error=type(error).__name__)  # noqa: TRY400

    def is_slow(self, statement: SlowStatement) -> bool:
        """Whether it is kept for its time, and not for its error alone."""
        return statement.duration_ms >= self.threshold_ms or not statement.sqlstate

    def settle(self, waits: Waits) -> None:
        """Fill in what those that ended two seconds ago waited for: call it each second."""
        until = self._clock() - WAITS_AFTER
        waiting = [event for event in self._unsettled if event.ended > until]
        for event in self._unsettled:
            if event.ended <= until and event.statement.backend_pid:
                began = event.statement.started + event.statement.queue_ms / 1e3
                event.waits.update(waits.waits(event.statement.backend_pid, began, event.ended))
        self._unsettled = deque(waiting, self._unsettled.maxlen)

    def latest(self, limit: int = 50, wanted: Wanted | None = None) -> list[SlowEvent]:
        """The newest first, or the longest."""
        newest = merge(
            reversed(self._events), reversed(self._failed),
            key=lambda event: event.statement.started, reverse=True,
        )  # fmt: skip
        if wanted is None:
            return list(islice(newest, limit))
        found = (event for event in newest if wanted.fits(event))
        if wanted.order == "time":
            return list(islice(found, limit))
        return nlargest(limit, found, key=lambda event: event.statement.duration_ms)

    def clear(self) -> None:
        """Forget the statements. `count` stays: it is what /metrics shows."""
        self._events.clear()
        self._failed.clear()
        self._unsettled.clear()

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield Sample("dbopt_slow_statements_total", self.count)
