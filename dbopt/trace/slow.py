"""The slow log: the latest statements above the threshold, and who wants to hear of each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import structlog

from dbopt.metrics import Sample
from dbopt.observation import SlowStatement
from dbopt.sql.fingerprint import fingerprint_hex

log = structlog.get_logger("dbopt.trace")


@dataclass(frozen=True, slots=True)
class SlowEvent:
    """One slow statement, and its kind (a Kind's value, or "other")."""

    statement: SlowStatement
    kind: str

    @property
    def failed(self) -> bool:
        """Whether it ended in an error."""
        return bool(self.statement.sqlstate)

    def to_dict(self) -> dict[str, Any]:
        """For JSON. The text as it ran (`sql`) is never in it."""
        slow = self.statement
        return {
            "fingerprint": fingerprint_hex(slow.fingerprint),
            "query": slow.text,
            "kind": self.kind,
            "database": slow.database,
            "user": slow.user,
            "application": slow.application,
            "started": datetime.fromtimestamp(slow.started, UTC).isoformat(timespec="milliseconds"),
            "duration_ms": round(slow.duration_ms, 3),
            "queue_ms": round(slow.queue_ms, 3),
            "server_ms": round(slow.server_ms, 3),
            "rows": slow.rows,
            "sqlstate": slow.sqlstate,
            "backend_pid": slow.backend_pid,
        }


Subscriber = Callable[[Sequence[SlowEvent]], None]


class SlowLog:
    """The last `max_slow` slow statements. `kind_of` tells a fingerprint's kind.

    `count` and `errors` go on beyond what is kept.
    """

    def __init__(self, max_slow: int, kind_of: Callable[[int], str]) -> None:
        self.count = 0
        self.errors = 0
        self._kind_of = kind_of
        self._events: deque[SlowEvent] = deque(maxlen=max_slow)
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call it with each batch. What it raises is logged and harms nobody else."""
        self._subscribers.append(subscriber)

    def add(self, statements: Sequence[SlowStatement]) -> None:
        """Keep what a worker found slow, and tell the subscribers."""
        if not statements:
            return
        events = [SlowEvent(slow, self._kind_of(slow.fingerprint)) for slow in statements]
        self._events.extend(events)
        self.count += len(events)
        self.errors += sum(event.failed for event in events)
        for subscriber in self._subscribers:
            try:
                subscriber(events)
            except Exception as error:
                # The type alone: the words might hold a literal.
                log.error("a subscriber of slow statements failed", error=type(error).__name__)  # noqa: TRY400

    def latest(self, limit: int = 50) -> list[SlowEvent]:
        """The newest first."""
        return list(islice(reversed(self._events), limit))

    def clear(self) -> None:
        """Forget the statements. `count` stays: it is what /metrics shows."""
        self._events.clear()

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield Sample("dbopt_slow_statements_total", self.count)
