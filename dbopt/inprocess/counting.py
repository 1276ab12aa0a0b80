"""What a pool's connections ran, added up until the reporter takes it.

On a query's way: two dict look-ups, one histogram bucket, a lock that is almost never contended.
Fingerprints, redaction and tags are made in the reporter's thread, once a text.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from threading import Lock

from dbopt.clock import Clock, wall
from dbopt.histogram import bucket_of

log = logging.getLogger("dbopt.inprocess")

OTHER = "(other)"
_MAX_SCOPES = 1000
_MAX_TEXTS = 20_000
_MAX_HELD = 16 << 20
_FULL = 5_000
"""Texts that are new since the reporter looked: so many wake it early."""
_LONGEST_KEPT = 4096
_LONGEST_READ = 65_536
_MAX_MANY = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    """Who runs statements: a connection's database, user and application, and the route."""

    database: str
    user: str
    application: str
    route: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """What is kept: times are microseconds, `many` is trace.n_plus_one, 0 for never."""

    slow_us: float = 1e6
    parameters: bool = False
    many: int = 10
    max_slow: int = 1000


class Count:
    """One text of one origin since the reporter took it last. Times are microseconds.

    `known` is the reporter's: what it found out of the text.
    """

    __slots__ = (
        "buckets", "calls", "errors", "known", "max_us", "queue_us", "rows", "scope", "text",
        "total_us", "transfer_us",
    )  # fmt: skip

    def __init__(self, scope: Scope, text: str) -> None:
        self.scope = scope
        self.text = text
        self.known: object = None
        self.clear()

    def clear(self) -> None:
        """Start over."""
        self.calls = self.rows = 0
        self.queue_us = self.total_us = self.max_us = self.transfer_us = 0.0
        self.errors: dict[str, int] = {}
        self.buckets: dict[int, int] = {}


class Ended:
    """The transactions of one origin since the reporter took them last, see TransactionCount."""

    __slots__ = (
        "buckets", "count", "failed", "idle_us", "max_idle_us", "max_us", "statements", "total_us",
    )  # fmt: skip

    def __init__(self) -> None:
        self.count = self.failed = self.statements = 0
        self.total_us = self.max_us = self.idle_us = self.max_idle_us = 0.0
        self.buckets: dict[int, int] = {}


class Scope:
    """The statements and transactions of one origin."""

    __slots__ = ("by_key", "ended", "origin", "other")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.by_key: dict[Hashable, Count] = {}
        self.ended = Ended()
        self.other = Count(self, "")


@dataclass(frozen=True, slots=True)
class Slow:
    """A statement above the threshold as it was met; the reporter makes the event of it."""

    count: Count
    sql: str
    parameters: str
    started: float
    duration_us: float
    queue_us: float
    transfer_us: float
    rows: int
    sqlstate: str
    backend_pid: int


class Counting:
    """A pool's counts: bounded, for any thread. `woken` is called when there is something new.

    It may be called under the lock and must return at once.
    """

    def __init__(self, limits: Limits, clock: Clock = wall) -> None:
        self.limits = limits
        self.lock = Lock()
        self.woken: Callable[[], None] = _nobody
        self.full: Callable[[], None] = _nobody
        self.clock = clock
        self.faults = 0
        self.lost_slow = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, the lock too: after a fork its holder may not be here."""
        self.lock = Lock()
        self.scopes: dict[Origin, Scope] = {}
        self.seen: list[Count] = []
        self.slow: deque[Slow] = deque()
        self.ended: dict[Scope, None] = {}
        self.repeats: list[dict[Count, int]] = []
        self.lost_repeats = 0
        self.texts = self.held = 0

    def scope(self, origin: Origin) -> Scope:
        """The Scope of an origin; beyond 1000 of them, of the other routes and applications."""
        found = self.scopes.get(origin)
        if found is not None:
            return found
        with self.lock:
            if len(self.scopes) >= _MAX_SCOPES and origin.route != OTHER:
                origin = Origin(origin.database, origin.user, OTHER, OTHER)
            return self.scopes.setdefault(origin, Scope(origin))

    def learn(self, scope: Scope, key: Hashable, text: str) -> Count:
        """A new Count for a text, or the one for all others where there is no room."""
        kept = len(text) <= _LONGEST_KEPT
        text = text[:_LONGEST_READ]
        with self.lock:
            if self.texts >= _MAX_TEXTS or self.held + len(text) > _MAX_HELD:
                return scope.other
            found = scope.by_key.get(key)
            if found is not None:
                return found
            self.texts += 1
            self.held += len(text)
            made = Count(scope, text)
            if kept:
                scope.by_key[key] = made
        if self.texts % _FULL == 0:
            self.full()
        return made

    def add(
        self,
        count: Count,
        total_us: float,
        rows: int,
        queue_us: float = 0.0,
        transfer_us: float = 0.0,
        sqlstate: str = "",
    ) -> None:
        """Count one execution; `total_us` holds the wait for the connection and the transfer."""
        bucket = bucket_of(total_us)
        with self.lock:
            buckets = count.buckets
            buckets[bucket] = buckets.get(bucket, 0) + 1
            if not count.calls:
                self._see(count)
            count.calls += 1
            count.rows += rows
            count.total_us += total_us
            if total_us > count.max_us:
                count.max_us = total_us
            if queue_us:
                count.queue_us += queue_us
            if transfer_us:
                count.transfer_us += transfer_us
            if sqlstate:
                count.errors[sqlstate] = count.errors.get(sqlstate, 0) + 1

    def note_slow(self, slow: Slow) -> None:
        """Keep a slow statement; beyond the bound the oldest is lost, and counted."""
        with self.lock:
            self.slow.append(slow)
            if len(self.slow) > self.limits.max_slow:
                self.slow.popleft()
                self.lost_slow += 1

    def end(
        self, scope: Scope, total_us: float, idle_us: float, max_idle_us: float,
        failed: bool, counts: dict[Count, int], statements: int,
    ) -> None:  # fmt: skip
        """Count one transaction. `counts` says how often each of its texts ran."""
        many = self.limits.many
        with self.lock:
            self.ended[scope] = None
            ended = scope.ended
            bucket = bucket_of(total_us)
            ended.buckets[bucket] = ended.buckets.get(bucket, 0) + 1
            ended.count += 1
            ended.failed += failed
            ended.statements += statements
            ended.total_us += total_us
            ended.max_us = max(ended.max_us, total_us)
            ended.idle_us += idle_us
            ended.max_idle_us = max(ended.max_idle_us, max_idle_us)
            if many and statements >= many:
                if len(self.repeats) < _MAX_MANY:
                    self.repeats.append(counts)
                else:
                    self.lost_repeats += 1

    def _see(self, count: Count) -> None:
        if not self.seen:
            self.woken()
        self.seen.append(count)

    def fault(self, error: BaseException) -> None:
        """Something of ours went wrong; the application must not notice."""
        self.faults += 1
        if self.faults == 1:
            # The type alone: the words might hold a literal.
            log.warning("an operation could not be observed: %s", type(error).__name__)

    # The reporter's side

    def take_seen(self) -> list[Count]:
        """The Counts that were added to since the last call."""
        with self.lock:
            seen, self.seen = self.seen, []
        return seen

    def forget(self, seen: list[Count]) -> None:
        """Where half the room is used, drop the texts that were not seen just now."""
        with self.lock:
            if self.texts < _MAX_TEXTS // 2 and self.held < _MAX_HELD // 2:
                return
            recent = set(map(id, seen))
            self.texts = self.held = 0
            for scope in self.scopes.values():
                kept = {k: c for k, c in scope.by_key.items() if c.calls or id(c) in recent}
                if len(kept) * 2 > _MAX_TEXTS:
                    kept = {}  # All are one-off texts: look-ups of them are worth nothing.
                scope.by_key = kept
                self.texts += len(kept)
                self.held += sum(len(count.text) for count in kept.values())


def _nobody() -> None:
    return
