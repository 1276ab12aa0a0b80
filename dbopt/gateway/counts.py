"""What a worker counts of the statements that pass, until the next flush takes it.

On the hot path: one or two dict look-ups by text, one histogram bucket, four additions.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

from dbopt.clock import Clock, wall
from dbopt.histogram import bucket_of
from dbopt.observation import SlowStatement, StatementCount
from dbopt.sql.effects import bounded_effects
from dbopt.sql.fingerprint import fingerprint, redact

if TYPE_CHECKING:
    from dbopt.gateway.guards import Watch

_MAX_TEXTS = 20_000
_MAX_SHAPES = 5_000
_LONG_TEXT = 4096
"""Longer texts are not kept as keys: they are mostly one-off literals."""
_SHOWN_TEXT = 16_384
FINGERPRINTED = 65_536
"""Of a longer text only so much is read: a megabyte would hold every client up for its sake."""
_MAX_SCOPES = 1000
_DIGITS = b"0123456789"
_INTEGER = re.compile(rb"(?<![\w$.\x80-\xff'])[0-9]+(?![\w.\x80-\xff'])")
"""An integer that stands alone: whichever it is, the fingerprint is the same."""
_MAX_INTEGERS = 50
OTHER = "(other)"


def readable(name: str) -> str:
    """A name that a client gave, as text that can be sent on: bytes that are none replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Count:
    """One statement, of one database, user and application, since the last flush.

    `effects` tells that some text of it may change the session, see dbopt.sql.effects, and
    `special` that it must go the general way: for that, or for the guard. `timeout` is seconds
    that the guard lets it run, 0 for no limit; `tagged`: some text of it had a comment at its end
    where routes have rules.
    """

    __slots__ = (
        "buckets", "calls", "effects", "errors", "fingerprint", "max_us", "queue_us", "rows",
        "scope", "sent", "special", "tagged", "text", "timeout", "total_us",
    )  # fmt: skip

    def __init__(self, scope: Scope, number: int, text: str) -> None:
        self.scope = scope
        self.fingerprint = number
        self.text = text
        self.sent = False
        self.special = self.effects = self.tagged = False
        self.timeout = 0.0
        self.clear()

    def clear(self) -> None:
        """Start over, after a flush."""
        self.calls = 0
        self.rows = 0
        self.queue_us = 0.0
        self.total_us = 0.0
        self.max_us = 0.0
        self.errors: dict[str, int] = {}
        self.buckets: dict[int, int] = {}

    def add(self, total_us: float, rows: int) -> None:
        """Count one execution that took so long, the wait for a backend included."""
        bucket = bucket_of(total_us)
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        if not self.calls:
            self.scope.counts.seen.append(self)
        self.calls += 1
        self.rows += rows
        self.total_us += total_us
        if total_us > self.max_us:
            self.max_us = total_us

    def failed(self, sqlstate: str) -> None:
        """One of those executions failed."""
        self.errors[sqlstate] = self.errors.get(sqlstate, 0) + 1


class Shape:
    """The texts that differ from one in lone integers alone, as `WHERE id = 7` and `= 8`."""

    __slots__ = ("count", "fits")

    def __init__(self, text: bytes, count: Count) -> None:
        self.count = count
        parts = map(re.escape, _INTEGER.split(text))
        self.fits: Callable[[bytes], object] = re.compile(b"[0-9]+".join(parts)).fullmatch


class Scope:
    """All counts of one (database, user, application). `watch`: the guard judges them."""

    __slots__ = (
        "application", "by_fingerprint", "by_shape", "by_text", "counts", "database", "user",
        "watch",
    )  # fmt: skip

    def __init__(self, counts: Counts, database: str, user: str, application: str) -> None:
        self.counts = counts
        self.database = database
        self.user = user
        self.application = application
        self.by_text: dict[bytes, Count] = {}
        self.by_shape: dict[bytes, Shape] = {}
        self.by_fingerprint: dict[int, Count] = {}
        self.watch: Watch | None = None

    def count(self, text: bytes) -> Count:
        """The Count that a statement's text belongs to."""
        known = self.by_text.get(text)
        if known is not None:
            return known
        shape = self.by_shape.get(text.translate(None, _DIGITS))
        if shape is not None and shape.fits(text):
            return shape.count
        return self._learn(text)

    def forget(self) -> int:
        """Drop the statements that were not seen since the last flush; tells how many."""
        idle = [number for number, count in self.by_fingerprint.items() if not count.calls]
        for number in idle:
            del self.by_fingerprint[number]
        self.by_text.clear()
        self.by_shape.clear()
        return sum(1 for number in idle if number)

    def rewatch(self, watch: Watch | None) -> None:
        """The guard watches otherwise from now on."""
        self.watch = watch
        for count in self.by_fingerprint.values():
            count.timeout = 0.0
            count.special = count.effects or watch is not None
        if watch is not None:
            self.by_text.clear()  # each is to be looked at, see Watch.mark
            self.by_shape.clear()

    def _learn(self, text: bytes) -> Count:
        sql = text[:FINGERPRINTED].decode("utf-8", "replace")
        number = fingerprint(sql)
        found = self.by_fingerprint.get(number)
        if found is None:
            found = self.counts.admit(self, number, sql)
        found.effects = found.effects or bool(bounded_effects(text))
        if self.watch is None:
            found.special = found.effects
        else:
            self.watch.mark(found, text)
        if len(text) <= _LONG_TEXT:
            self._keep(text, found)
        return found

    def _keep(self, text: bytes, count: Count) -> None:
        shape = text.translate(None, _DIGITS)
        # A number within a quoted name is part of it.
        if (
            len(shape) < len(text)
            and b'"' not in text
            and shape not in self.by_shape
            and 0 < len(_INTEGER.findall(text)) <= _MAX_INTEGERS
        ):
            if len(self.by_shape) >= _MAX_SHAPES:
                self.by_shape.clear()
            self.by_shape[shape] = Shape(text, count)
            return
        if len(self.by_text) >= _MAX_TEXTS:
            self.by_text.clear()
        self.by_text[text] = count


class Counts:
    """A worker's counts and slow statements, bounded.

    Beyond `capacity` distinct statements the rest are counted as one "other" row with
    fingerprint 0, so that totals stay exact.
    """

    def __init__(
        self, slow_ms: float, parameters: bool, capacity: int, max_slow: int, clock: Clock = wall
    ) -> None:
        self.slow_us = slow_ms * 1000.0
        self.parameters = parameters
        self.slow: list[SlowStatement] = []
        self.seen: list[Count] = []
        self._max_slow = max_slow
        self._capacity = capacity
        self._size = 0
        self._scopes: dict[tuple[str, str, str], Scope] = {}
        self._clock = clock
        self._watched: Callable[[Scope], Watch | None] = _nobody

    def scope(self, database: str, user: str, application: str) -> Scope:
        """The Scope of that database, user and application."""
        key = (readable(database), readable(user), readable(application))
        found = self._scopes.get(key)
        if found is not None:
            return found
        if len(self._scopes) >= _MAX_SCOPES and application != OTHER:
            return self.scope(database, user, OTHER)
        found = self._scopes[key] = Scope(self, *key)
        found.watch = self._watched(found)
        return found

    def watch_with(self, watched: Callable[[Scope], Watch | None]) -> None:
        """Who says how the guard watches a scope, from now on; its rules may be others by now."""
        self._watched = watched
        for scope in self._scopes.values():
            scope.rewatch(watched(scope))

    def admit(self, scope: Scope, number: int, sql: str) -> Count:
        """A new Count, or the "other" one where the worker is full."""
        if self._size >= self._capacity:
            other = scope.by_fingerprint.get(0)
            if other is None:
                other = scope.by_fingerprint[0] = Count(scope, 0, OTHER)
            return other
        self._size += 1
        made = scope.by_fingerprint[number] = Count(scope, number, redact(sql)[:_SHOWN_TEXT])
        return made

    def note_slow(
        self,
        count: Count,
        text: bytes,
        queue_us: float,
        server_us: float,
        rows: int,
        sqlstate: str,
        backend_pid: int,
    ) -> None:
        """Keep one slow statement for the next flush; beyond the bound the oldest are lost."""
        sql = text[:_SHOWN_TEXT].decode("utf-8", "replace") if len(text) <= _SHOWN_TEXT else ""
        duration_us = queue_us + server_us
        scope = count.scope
        self.slow.append(
            SlowStatement(
                fingerprint=count.fingerprint,
                text=sql if self.parameters and sql else count.text,
                sql=sql,
                database=scope.database,
                user=scope.user,
                application=scope.application,
                started=self._clock() - duration_us / 1e6,
                duration_ms=duration_us / 1e3,
                queue_ms=queue_us / 1e3,
                server_ms=server_us / 1e3,
                rows=rows,
                sqlstate=sqlstate,
                backend_pid=backend_pid,
            )
        )
        if len(self.slow) > self._max_slow:
            del self.slow[0]

    def take(self) -> tuple[list[StatementCount], list[SlowStatement]]:
        """All that was counted since the last call.

        A full worker forgets the statements that were not seen meanwhile, to make room.
        """
        if self._size >= self._capacity:
            self._size -= sum(scope.forget() for scope in self._scopes.values())
        seen, self.seen = self.seen, []
        slow, self.slow = self.slow, []
        return [_message(count) for count in seen], slow


def _nobody(_: Scope) -> None:
    return None


def _message(c: Count) -> StatementCount:
    scope = c.scope
    message = StatementCount(
        fingerprint=c.fingerprint,
        text="" if c.sent else c.text,
        database=scope.database,
        user=scope.user,
        application=scope.application,
        calls=c.calls,
        rows=c.rows,
        errors=c.errors,
        queue_us=c.queue_us,
        total_us=c.total_us,
        max_us=c.max_us,
        buckets=c.buckets,
    )
    c.sent = True
    c.clear()
    return message
