"""Guarding: what the guard says, where messages pass.

The part of Upstream for statements that must be judged before they run. What is refused gets its
error from the server, by a message that must fail in its place: so a transaction fails, and a
pipeline skips, just as PostgreSQL does it. The words of that error are the guard's.
"""

from __future__ import annotations

from typing import Any, Final

from dbopt.gateway.framing import terminator
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.naming import REFUSED, Naming
from dbopt.gateway.request import PARSE, Request
from dbopt.gateway.special import channel
from dbopt.gateway.statements import Prepared, Registry, Statement
from dbopt.sql.effects import Effect, SessionStatement, bounded_effects
from dbopt.verdict import Verdict
from dbopt.wire import encode
from dbopt.wire.messages import CopyFail, FunctionCall
from dbopt.wire.types import (
    F_BIND,
    F_CLOSE,
    F_DESCRIBE,
    F_EXECUTE,
    F_FLUSH,
    F_PARSE,
    F_QUERY,
    F_SYNC,
)

_LEADING: Final = frozenset((F_CLOSE, F_DESCRIBE, F_FLUSH, F_SYNC))
"""Messages that may come first, and run nothing."""
FAILING_CALL: Final = FunctionCall(0).encode()
"""Fails in the place of a function call: there is no function of that number."""
FAILING_COPY: Final = CopyFail(REFUSED).encode()
_READ_ONLY: Final = Verdict(
    refused=True,
    rule="read-only",
    sqlstate="25006",
    message="function call refused by the guard: only reads are allowed, and it may write",
    hint="Call it by SELECT: then the guard can tell what it does.",
)


class Guarding(Naming):
    """See the module. `unjudged` is the statement whose verdict the next message waits for.

    `heavy`: one has passed that goes by the lane. `settings` are the client's. `paced`: what comes
    next waits until all that is in flight is answered, since rows are counted.
    """

    __slots__ = ("heavy", "paced", "settings", "unjudged")

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        super().__init__(ledger, registry)
        self.unjudged = b""
        self.heavy = self.paced = False
        self.settings: dict[str, str] = {}

    def first_text(self, data: bytes) -> bytes:
        """The first statement that whole messages are about; b"" where they are about none."""
        position, size = 0, len(data)
        while size - position >= 5:
            end = position + 1 + int.from_bytes(data[position + 1 : position + 5])
            if end > size:
                break
            if data[position] not in _LEADING:
                return self._text(data[position], data, position + 5, end)
            position = end
        return b""

    def _text(self, kind: int, data: bytes, start: int, end: int) -> bytes:
        """The statement that a message is about."""
        if kind == F_QUERY:
            return data[start : end - 1]
        if kind == F_PARSE:
            start = terminator(data, start, end) + 1
            return data[start : terminator(data, start, end)]
        if kind == F_BIND:
            start = terminator(data, start, end) + 1
            name = data[start : terminator(data, start, end)]
            statement = self.names.get(name) if name else self.unnamed
        elif kind == F_EXECUTE:
            statement = self.portals.get(data[start : terminator(data, start, end)])
        else:
            return b""
        return whole_text(statement) if statement is not None else b""

    def known_verdict(self, text: bytes) -> Verdict | None:
        """What the guard says of a statement; None where it must be asked.

        Of what runs a statement that PREPARE has made, it says whether that one is heavy.
        """
        watch = self.ledger.scope.watch
        if watch is None:
            return Verdict()
        found = watch.verdict(text, self.settings)
        if found is not None and not found.refused and self.by_sql:
            for statement in self._executed(bounded_effects(text)):
                inner = watch.verdict(whole_text(statement), self.settings)
                if inner is not None and inner.heavy:
                    return inner
        return found

    def _executed(self, entries: tuple[SessionStatement, ...]) -> list[Statement]:
        """The statements that PREPARE has made and a text runs."""
        names = [channel(e) for e in entries if e.kind is Effect.EXECUTE and e.names]
        return [self.names[name] for name in names if name in self.names]

    def _refuses(self, text: bytes, request: Request) -> bool:
        """Whether the guard refuses a statement: then the request says so in its words.

        False too where it must be asked first: see `unjudged`.
        """
        watch = self.ledger.scope.watch
        if watch is None or self.ledger.skipping:
            return False
        verdict = watch.verdict(text, self.settings)
        if verdict is None:
            self.unjudged = text
            return False
        if verdict.refused:
            request.refusal, request.sqlstate = refusal_of(verdict), verdict.sqlstate
            watch.refuse(text, verdict)
            return True
        request.timeout = verdict.timeout
        request.max_rows = strictest(request.max_rows, verdict.max_rows)
        self.heavy = self.heavy or verdict.heavy
        return False

    def _refuses_query(
        self, text: bytes, entries: tuple[SessionStatement, ...], request: Request
    ) -> bool:
        """The same of a text that may run what PREPARE has made."""
        if self._refuses(text, request):
            return True
        timeout = request.timeout
        for statement in self._executed(entries):
            if self.unjudged or self._refuses(whole_text(statement), request):
                return not self.unjudged
            request.timeout = timeout = strictest(timeout, request.timeout)
        return False

    def _refuses_execute(self, statement: Statement | None, request: Request) -> bool:
        if self.ledger.scope.watch is None or statement is None:
            return False
        return self._refuses_query(whole_text(statement), statement.effects, request)

    def _refuses_function(self, request: Request) -> bool:
        """A function called by its number is not known: it may write."""
        watch = self.ledger.scope.watch
        if watch is None or not (watch.rules.enforced and watch.rules.read_only):
            return False
        request.sqlstate = _READ_ONLY.sqlstate
        request.refusal = refusal_of(_READ_ONLY)
        watch.refuse(request.text, _READ_ONLY)
        return True

    def _must_be_alone(self, request: Request) -> bool:
        """Whether a request whose rows are counted must wait for what is in flight."""
        if request.max_rows:
            self.paced = self.ledger.executes
            self.ledger.limited = None if self.paced else request
        return self.paced

    def _judged_parse(
        self, data: bytes, start: int, end: int, prepared: Prepared, now: float
    ) -> list[bytes] | None:
        """See _parse."""
        if not self.ledger.skipping:
            name_end = terminator(data, start, end)
            name = data[start:name_end]
            sql = data[name_end + 1 : terminator(data, name_end + 1, end)]
            request = Request(PARSE, sql, now, None, name)
            if self._refuses(sql, request):
                request.former = self.unnamed
                self._enter(request)
                return [self._failing_parse(name, prepared)]
            if self.unjudged:
                return None
        return self._parse(data, start, end, prepared, now)


def strictest(one: Any, other: Any) -> Any:
    """Of two limits, of which 0 is none."""
    return min(one, other) if one and other else one or other


def whole_text(statement: Statement) -> bytes:
    """A statement as the guard reads it: of one that PREPARE has made, with that word."""
    return b"PREPARE p " + statement.sql if statement.in_sql else statement.sql


def refusal_of(verdict: Verdict) -> bytes:
    """The ErrorResponse of a verdict that refuses."""
    return encode.error_fields(
        "ERROR", verdict.sqlstate, verdict.message, verdict.hint, verdict.detail
    )
