"""What a worker counts of the statements that pass, until the next flush takes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from dbopt.clock import Clock, wall
from dbopt.gateway.comments import OTHER
from dbopt.gateway.noted import Noted, Run
from dbopt.gateway.scopes import Count, Scope
from dbopt.gateway.transactions import Blocks, repeated_message
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount
from dbopt.sql.redact import redact

if TYPE_CHECKING:
    from dbopt.gateway.guards import Watch

_SHOWN_TEXT = 16_384
_MAX_SCOPES = 1000
_MAX_ROUTES = 500
"""Routes of all scopes together; the rest are one "(other)" in each."""
_MAX_KEPT = 64 << 20
"""Bytes of the texts that are kept as keys, in all scopes together."""


def readable(name: str) -> str:
    """A name that a client gave, as text that can be sent on: bytes that are none replaced."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


class Taken(NamedTuple):
    """What was counted since the last report."""

    counts: list[StatementCount]
    slow: list[SlowStatement]
    transactions: list[TransactionCount]
    repeated: list[Repeated]
    spans: list[SlowStatement]

    def portions(self, size: int) -> Iterator[Taken]:
        """The same in parts of so many of each at most; one at least, empty if there is nothing."""
        for start in range(0, max(1, *(len(each) for each in self)), size):
            end = start + size
            yield Taken(
                self.counts[start:end],
                self.slow[start:end],
                self.transactions[start:end],
                self.repeated[start:end],
                self.spans[start:end],
            )


class Counts:
    """A worker's counts and slow statements, bounded.

    Beyond `capacity` distinct statements the rest are counted as one "other" row with
    fingerprint 0, so that totals stay exact.
    """

    def __init__(
        self,
        slow_ms: float,
        parameters: bool,
        capacity: int,
        max_slow: int,
        clock: Clock = wall,
        *,
        n_plus_one: int = 0,
        spans: bool = False,
    ) -> None:
        self.seen: list[Count] = []
        self.seen_blocks: list[Scope] = []
        self.repeated: dict[Count, list[int]] = {}
        self.noted = Noted(slow_ms, parameters, max_slow, clock)
        self._capacity = capacity
        self._size = self._routes = self._kept = 0
        self._scopes: dict[tuple[str, str, str], Scope] = {}
        self._watched: Callable[[Scope], Watch | None] = _nobody
        self.configure(slow_ms, parameters, n_plus_one=n_plus_one, spans=spans)

    def configure(self, slow_ms: float, parameters: bool, *, n_plus_one: int, spans: bool) -> None:
        """These settings from now on; `spans`: traced statements are asked for."""
        self.noted.configure(slow_ms, parameters, traced=spans)
        self.least_us = self.noted.least_us
        self.n_plus_one = n_plus_one

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

    def admit_route(self, name: str) -> bool:
        """Whether there is room for one more scope of a route; for all without one there is."""
        if not name or name == OTHER:
            return True
        if self._routes >= _MAX_ROUTES:
            return False
        self._routes += 1
        return True

    def make_room(self, size: int) -> None:
        """So many bytes of text will be kept as a key: if that is too much, the rest goes."""
        self._kept += size
        if self._kept > _MAX_KEPT:
            self._kept = size
            for scope in self._scopes.values():
                scope.forget_texts()

    def note(self, count: Count, text: bytes, run: Run) -> None:
        """Keep an execution that failed or took `least_us` or more, if there is a reason to."""
        self.noted.note(count, text, run)

    def take(self) -> Taken:
        """All that was counted since the last call.

        A full worker forgets the statements that were not seen meanwhile, to make room; so it
        does with routes.
        """
        if self._size >= self._capacity:
            self._size -= sum(scope.forget() for scope in self._scopes.values())
        if self._routes >= _MAX_ROUTES:
            for scope in self._scopes.values():
                routes, statements = scope.forget_routes()
                self._routes -= routes
                self._size -= statements
        seen, self.seen = self.seen, []
        blocks, self.seen_blocks = self.seen_blocks, []
        repeated, self.repeated = self.repeated, {}
        slow, spans = self.noted.take()
        return Taken(
            [_message(count) for count in seen],
            slow,
            [_blocks_message(scope) for scope in blocks],
            [repeated_message(count, found) for count, found in repeated.items()],
            spans,
        )


def _nobody(_: Scope) -> None:
    return None


def _message(c: Count) -> StatementCount:
    scope = c.scope
    message = StatementCount(
        fingerprint=c.fingerprint,
        text="" if c.told else c.text,
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
        route=scope.route,
        transfer_us=c.transfer_us,
        received=c.received,
        sent=c.sent,
    )
    c.told = True
    c.clear()
    return message


def _blocks_message(scope: Scope) -> TransactionCount:
    blocks = scope.blocks or Blocks()
    scope.blocks = None
    return blocks.message(scope)
