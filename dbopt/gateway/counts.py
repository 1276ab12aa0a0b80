"""What a worker counts of the statements that pass, until the next flush takes it.

On the hot path: one dict look-up by text, one histogram bucket, four additions.
"""

from __future__ import annotations

from dbopt.clock import Clock, wall
from dbopt.histogram import bucket_of
from dbopt.observation import SlowStatement, StatementCount
from dbopt.sql.fingerprint import fingerprint, redact

_MAX_TEXTS = 20_000
_LONG_TEXT = 4096
"""Longer texts are not kept as keys: they are mostly one-off literals."""
_SHOWN_TEXT = 16_384
_FINGERPRINTED = 65_536
"""Of a longer text only so much is read: a megabyte would hold every client up for its sake."""
_MAX_SCOPES = 1000
OTHER = "(other)"


def readable(name: str) -> str:
    """A name that a client gave, as text that can be sent on: bytes that are none replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Count:
    """One statement, of one database, user and application, since the last flush."""

    __slots__ = (
        "buckets", "calls", "errors", "fingerprint", "max_us", "queue_us", "rows", "sent", "text",
        "total_us",
    )  # fmt: skip

    def __init__(self, number: int, text: str) -> None:
        self.fingerprint = number
        self.text = text
        self.sent = False
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

    def add(self, queue_us: float, server_us: float, rows: int, sqlstate: str) -> None:
        """Count one execution; `sqlstate` is empty where it did not fail."""
        total = queue_us + server_us
        bucket = bucket_of(total)
        self.buckets[bucket] = self.buckets.get(bucket, 0) + 1
        self.calls += 1
        self.rows += rows
        self.queue_us += queue_us
        self.total_us += total
        if total > self.max_us:
            self.max_us = total
        if sqlstate:
            self.errors[sqlstate] = self.errors.get(sqlstate, 0) + 1


class Scope:
    """All counts of one (database, user, application)."""

    __slots__ = ("application", "by_fingerprint", "by_text", "counts", "database", "user")

    def __init__(self, counts: Counts, database: str, user: str, application: str) -> None:
        self.counts = counts
        self.database = database
        self.user = user
        self.application = application
        self.by_text: dict[bytes, Count] = {}
        self.by_fingerprint: dict[int, Count] = {}

    def count(self, text: bytes) -> Count:
        """The Count that a statement's text belongs to."""
        known = self.by_text.get(text)
        return known if known is not None else self._learn(text)

    def forget(self, seen: list[StatementCount]) -> int:
        """Drop the statements that are not among `seen`; tells how many that were."""
        kept = {message.fingerprint for message in seen}
        idle = [number for number in self.by_fingerprint if number not in kept]
        for number in idle:
            del self.by_fingerprint[number]
        self.by_text.clear()
        return sum(1 for number in idle if number)

    def _learn(self, text: bytes) -> Count:
        sql = text[:_FINGERPRINTED].decode("utf-8", "replace")
        number = fingerprint(sql)
        found = self.by_fingerprint.get(number)
        if found is None:
            found = self.counts.admit(self, number, sql)
        if len(text) <= _LONG_TEXT:
            if len(self.by_text) >= _MAX_TEXTS:
                self.by_text.clear()
            self.by_text[text] = found
        return found


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
        self._max_slow = max_slow
        self._capacity = capacity
        self._size = 0
        self._scopes: dict[tuple[str, str, str], Scope] = {}
        self._clock = clock

    def scope(self, database: str, user: str, application: str) -> Scope:
        """The Scope of that database, user and application."""
        key = (readable(database), readable(user), readable(application))
        found = self._scopes.get(key)
        if found is not None:
            return found
        if len(self._scopes) >= _MAX_SCOPES and application != OTHER:
            return self.scope(database, user, OTHER)
        found = self._scopes[key] = Scope(self, *key)
        return found

    def admit(self, scope: Scope, number: int, sql: str) -> Count:
        """A new Count, or the "other" one where the worker is full."""
        if self._size >= self._capacity:
            other = scope.by_fingerprint.get(0)
            if other is None:
                other = scope.by_fingerprint[0] = Count(0, OTHER)
            return other
        self._size += 1
        made = scope.by_fingerprint[number] = Count(number, redact(sql)[:_SHOWN_TEXT])
        return made

    def note_slow(
        self,
        scope: Scope,
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
        full = self._size >= self._capacity
        taken: list[StatementCount] = []
        for scope in self._scopes.values():
            taken += [_message(scope, c) for c in scope.by_fingerprint.values() if c.calls]
            if full:
                self._size -= scope.forget(taken)
        slow, self.slow = self.slow, []
        return taken, slow


def _message(scope: Scope, c: Count) -> StatementCount:
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
