"""Scopes: which statement a text is, for the counts of one database, user and application.

On the hot path: one or two dict look-ups by text, one histogram bucket, six additions. A text that
ends in a comment is told by what comes before it, and counted by its route: see comments.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dbopt.gateway.comments import ENDS, OTHER, at_rest, hides_block, raw_route, route_name, split
from dbopt.gateway.transactions import Blocks
from dbopt.histogram import bucket_of
from dbopt.sql.effects import bounded_effects
from dbopt.sql.fingerprint import fingerprint

if TYPE_CHECKING:
    from dbopt.gateway.counts import Counts
    from dbopt.gateway.guards import Watch

_MAX_TEXTS = 20_000
_MAX_SHAPES = 5_000
_LONG_TEXT = 4096
"""Longer texts are not kept as keys: they are mostly one-off literals."""
FINGERPRINTED = 65_536
"""Of a longer text only so much is read: a megabyte would hold every client up for its sake."""
_MAX_SPELLINGS = 500
"""Ways to write the routes of a scope that are remembered."""
_DIGITS = b"0123456789"
_VARYING = b"trace"
"""In the names of the tags that are new in each text."""
_INTEGER = re.compile(rb"(?<![\w$.\x80-\xff'])[0-9]+(?![\w.\x80-\xff'])")
"""An integer that stands alone: whichever it is, the fingerprint is the same."""
_MAX_INTEGERS = 50
_SHAPE_COST = 20
"""Bytes that a shape takes for each of its text: a compiled expression has a word or two."""


class Count:
    """One statement, of one database, user, application and route, since the last flush.

    `effects` tells that some text of it may change the session, see dbopt.sql.effects, or that
    transactions begin or end within it, and `special` that it must go the general way: for that,
    or for the guard. `timeout` is seconds that the guard lets it run, 0 for no limit; `tagged`:
    some text of it had a comment at its end where routes have rules.
    """

    __slots__ = (
        "buckets", "calls", "effects", "errors", "fingerprint", "max_us", "queue_us", "received",
        "rows", "scope", "sent", "special", "tagged", "text", "timeout", "told", "total_us",
        "transfer_us",
    )  # fmt: skip

    def __init__(self, scope: Scope, number: int, text: str) -> None:
        self.scope = scope
        self.fingerprint = number
        self.text = text
        self.told = False
        self.special = self.effects = self.tagged = False
        self.timeout = 0.0
        self.clear()

    def clear(self) -> None:
        """Start over, after a flush."""
        self.calls = 0
        self.rows = self.received = self.sent = 0
        self.queue_us = self.transfer_us = 0.0
        self.total_us = 0.0
        self.max_us = 0.0
        self.errors: dict[str, int] = {}
        self.buckets: dict[int, int] = {}

    def add(self, total_us: float, rows: int, received: int = 0, sent: int = 0) -> None:
        """Count one execution that took so long, the wait for a backend included.

        `received` are bytes from the client, `sent` bytes to it.
        """
        bucket = bucket_of(total_us)
        buckets = self.buckets
        buckets[bucket] = buckets.get(bucket, 0) + 1
        if not self.calls:
            self.scope.counts.seen.append(self)
        self.calls += 1
        self.rows += rows
        self.received += received
        self.sent += sent
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
    """All counts of one (database, user, application). `watch`: the guard judges them.

    The texts with a comment at their end are counted by scopes of the same for each route, which
    know them by what is before the comment. `blocks` are its transactions since the last flush.
    """

    __slots__ = (
        "_routed", "_routes", "application", "blocks", "by_fingerprint", "by_shape", "by_text",
        "counts", "database", "route", "user", "watch",
    )  # fmt: skip

    def __init__(
        self, counts: Counts, database: str, user: str, application: str, route: str = ""
    ) -> None:
        self.counts = counts
        self.database = database
        self.user = user
        self.application = application
        self.route = route
        self.blocks: Blocks | None = None
        self.by_text: dict[bytes, Count] = {}
        self.by_shape: dict[bytes, Shape] = {}
        self.by_fingerprint: dict[int, Count] = {}
        self.watch: Watch | None = None
        self._routes: dict[bytes, Scope] = {}
        self._routed: dict[str, Scope] = {}

    def count(self, text: bytes) -> Count:
        """The Count that a statement's text belongs to."""
        known = self.by_text.get(text)
        if known is not None:
            return known
        shape = self.by_shape.get(text.translate(None, _DIGITS))
        if shape is not None and shape.fits(text):
            return shape.count
        if text[-1:] in ENDS:
            tagged = self._tagged(text)
            if tagged is not None:
                return tagged
        found = self._find(text)
        if len(text) <= _LONG_TEXT:
            self._keep(text, found)
        return found

    def _tagged(self, text: bytes) -> Count | None:
        """The same for a text that ends in a comment; None where it ends in none."""
        parts = split(text)
        if parts is None:
            return None
        base, comment = parts
        raw = raw_route(comment)
        scope = self._routes.get(raw) or self._route(raw)
        # Of a text with a backslash, or a long one, the guard looks at the whole: see Watch.mark.
        if len(text) <= _LONG_TEXT and b"\\" not in comment:
            known = scope.by_text.get(base)
            if known is not None:
                if _VARYING not in comment:
                    self._keep_text(text, known)  # it will come again just so
                return known
            shape = scope.by_shape.get(base.translate(None, _DIGITS))
            if shape is not None and shape.fits(base):
                return shape.count
        found = scope._find(text)
        if len(text) <= _LONG_TEXT:
            if b"\\" not in comment and at_rest(base):
                scope._keep(base, found)
            else:
                self._keep_text(text, found)
        return found

    def _route(self, raw: bytes) -> Scope:
        """The scope of a route that is new, or written otherwise."""
        name = route_name(raw) if raw else ""
        found = self._routed.get(name)
        if found is None:
            if not self.counts.admit_route(name):
                name = OTHER
            found = self._routed.get(name) or self._add_route(name)
        if len(self._routes) < _MAX_SPELLINGS:
            self._routes[raw] = found
        return found

    def _add_route(self, name: str) -> Scope:
        made = Scope(self.counts, self.database, self.user, self.application, name)
        made.watch = self.watch
        if not name:
            made.by_fingerprint = self.by_fingerprint
        self._routed[name] = made
        return made

    def every(self) -> Iterator[Count]:
        """All counts, the routes' too."""
        for scope in (self, *self._routed.values()):
            yield from scope.by_fingerprint.values()

    def having(self, number: int) -> Iterator[Count]:
        """The counts of a fingerprint, the routes' too."""
        for scope in (self, *self._routed.values()):
            count = scope.by_fingerprint.get(number)
            if count is not None:
                yield count

    def forget(self) -> int:
        """Drop the statements that were not seen since the last flush; tells how many."""
        idle = [number for number, count in self.by_fingerprint.items() if not count.calls]
        for number in idle:
            del self.by_fingerprint[number]
        self.forget_texts()
        routed = sum(scope.forget() for scope in self._routed.values())
        return sum(1 for number in idle if number) + routed

    def forget_texts(self) -> None:
        """Drop all keys; what is counted stays."""
        for scope in (self, *self._routed.values()):
            scope.by_text.clear()
            scope.by_shape.clear()

    def forget_routes(self) -> tuple[int, int]:
        """Drop the routes not seen since the last flush; tells how many, and their statements."""
        idle = [
            scope
            for name, scope in self._routed.items()
            if name and not any(count.calls for count in scope.by_fingerprint.values())
        ]
        if idle:
            self.forget_texts()
            self._routes.clear()
        for scope in idle:
            del self._routed[scope.route]
        named = sum(1 for scope in idle if scope.route != OTHER)
        return named, sum(1 for scope in idle for number in scope.by_fingerprint if number)

    def rewatch(self, watch: Watch | None) -> None:
        """The guard watches otherwise from now on."""
        self.watch = watch
        for scope in self._routed.values():
            scope.watch = watch
        for count in self.every():
            count.timeout = 0.0
            count.special = count.effects or watch is not None
        if watch is not None:
            self.forget_texts()  # each is to be looked at, see Watch.mark

    def _find(self, text: bytes) -> Count:
        """The Count of a text that is new."""
        sql = text[:FINGERPRINTED].decode("utf-8", "replace")
        number = fingerprint(sql)
        found = self.by_fingerprint.get(number)
        if found is None:
            found = self.counts.admit(self, number, sql)
        found.effects = found.effects or bool(bounded_effects(text)) or hides_block(text)
        if self.watch is None:
            found.special = found.effects
        else:
            self.watch.mark(found, text)
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
            self.counts.make_room(_SHAPE_COST * len(text))
            self.by_shape[shape] = Shape(text, count)
            return
        self._keep_text(text, count)

    def _keep_text(self, text: bytes, count: Count) -> None:
        if len(self.by_text) >= _MAX_TEXTS:
            self.by_text.clear()
        self.counts.make_room(len(text))
        self.by_text[text] = count
