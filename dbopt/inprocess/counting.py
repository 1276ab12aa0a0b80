"""What a pool's connections ran, added up until the reporter takes it.

On a query's way: two dict look-ups, and one tuple put into a deque, which needs no lock. Adding
up, fingerprints, redaction and tags are the reporter's thread's, each text's once.
"""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from threading import RLock
from typing import TypeVar

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
_MANY = 10_000
"""Executions that wait to be added up: so many wake the reporter early."""


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
        self.max_us = 0.0
        self.clear()

    def add(
        self, total_us: float, rows: int, queue_us: float, transfer_us: float, sqlstate: str
    ) -> None:
        """Count one execution; `total_us` holds the wait for the connection and the transfer."""
        bucket = bucket_of(total_us)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.calls += 1
        self.rows += rows
        self.total_us += total_us
        self.queue_us += queue_us
        self.transfer_us += transfer_us
        if total_us > self.max_us:
            self.max_us = total_us
        if sqlstate:
            self.errors[sqlstate] = self.errors.get(sqlstate, 0) + 1

    def clear(self) -> None:
        """Start over."""
        self.calls = self.rows = 0
        self.queue_us = self.total_us = self.max_us = self.transfer_us = 0.0
        self.errors: dict[str, int] = {}
        self.buckets: dict[int, int] = {}


@dataclass(frozen=True, slots=True)
class Ended:
    """A transaction that has ended. `counts` says how often each of its statements ran alone."""

    scope: Scope
    total_us: float
    idle_us: float
    max_idle_us: float
    failed: bool
    statements: int
    counts: dict[Count, int]


class Scope:
    """The statements and transactions of one origin."""

    __slots__ = ("by_key", "origin", "other")

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self.by_key: dict[Hashable, Count] = {}
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


Sample = tuple[Count, float, int, float, float, str]
"""One execution: total, rows, queue, transfer, SQLSTATE. Times are µs; the total holds all."""


class Counting:
    """A pool's counts: bounded, for any thread.

    `woken` is called when there is something new, `full` when there is much. Both are called on
    a query's way and must return at once.
    """

    def __init__(self, limits: Limits, clock: Clock = wall) -> None:
        self.limits = limits
        self.woken: Callable[[], None] = _nobody
        self.full: Callable[[], None] = _nobody
        self.clock = clock
        self.faults = 0
        self.reset()

    def reset(self) -> None:
        """Forget everything, the lock too: after a fork its holder may not be here."""
        # One that a signal handler may take again which interrupts its holder.
        self.lock = RLock()
        self.awake = False
        self.samples: deque[Sample] = deque()
        self.early: dict[Count, None] = {}
        self.slow: deque[Slow] = deque()
        self.ended: deque[Ended] = deque()
        self.scopes: dict[Origin, Scope] = {}
        self.lost = 0
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

    def add(self, sample: Sample) -> None:
        """Count one execution."""
        samples = self.samples
        samples.append(sample)
        if not self.awake:
            self.awake = True
            self.woken()
        elif len(samples) >= _MANY:
            self.press()

    def press(self) -> None:
        """There is much to be taken: the reporter should; if it does not, the query does."""
        self.full()
        if len(self.samples) >= 10 * _MANY:
            self.drain()

    def note_slow(self, slow: Slow) -> None:
        """Keep a slow statement; beyond the bound the oldest is lost, and counted."""
        self.slow.append(slow)
        if len(self.slow) > self.limits.max_slow:
            self.slow.popleft()
            self.lost += 1

    def end(self, ended: Ended) -> None:
        """Count one transaction."""
        self.ended.append(ended)
        if len(self.ended) >= _MANY:
            self.full()
            if len(self.ended) >= 10 * _MANY:
                self.ended.popleft()
                self.lost += 1

    def fault(self, error: BaseException) -> None:
        """Something of ours went wrong; the application must not notice.

        Raises what a signal handler of the application's has raised while we ran, as the soft time
        limits of task queues do: that is not ours to keep.
        """
        if raised_by_a_signal(error):
            raise error
        self.faults += 1
        if self.faults == 1:
            # The type alone: the words might hold a literal.
            log.warning("an operation could not be observed: %s", type(error).__name__)

    # The reporter's side

    def drain(self) -> list[Count]:
        """Add up what was counted; tells the Counts that have something since they were cleared."""
        self.awake = False
        seen: dict[Count, None] = {}
        with self.lock:
            for count, total_us, rows, queue_us, transfer_us, sqlstate in taken(self.samples):
                count.add(total_us, rows, queue_us, transfer_us, sqlstate)
                seen[count] = None
            seen.update(self.early)
            self.early = seen
        return list(seen)

    def forget(self, seen: list[Count]) -> None:
        """Where half the room is used, drop the texts that were not seen just now."""
        with self.lock:
            if self.texts < _MAX_TEXTS // 2 and self.held < _MAX_HELD // 2:
                return
            recent = set(map(id, seen))
            self.texts = self.held = 0
            for scope in self.scopes.values():
                kept = {k: c for k, c in scope.by_key.items() if id(c) in recent}
                if len(kept) * 2 > _MAX_TEXTS:
                    kept = {}  # All are one-off texts: look-ups of them are worth nothing.
                scope.by_key = kept
                self.texts += len(kept)
                self.held += sum(len(count.text) for count in kept.values())


def raised_by_a_signal(error: BaseException) -> bool:
    """Whether a signal's handler has raised it: such a handler is among the traceback's calls."""
    handlers = {
        getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()
    } - {None}
    at = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code in handlers:
            return True
        at = at.tb_next
    return False


T = TypeVar("T")


def taken(queue: deque[T]) -> Iterator[T]:
    """What is in it, each taken out: others may put more in meanwhile."""
    for _ in range(len(queue)):
        try:
            yield queue.popleft()
        except IndexError:
            return


def _nobody() -> None:
    return
