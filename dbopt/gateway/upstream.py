"""What goes from the client to its backend: bytes in, bytes out, entries in the ledger.

Most bytes pass as they came. Only the messages that name a prepared statement are made anew,
because the name that the client gave is not the one that the server knows.
"""

from __future__ import annotations

from struct import Struct

from dbopt.gateway.framing import KNOWN, check_length, terminator, unknown_type
from dbopt.gateway.guarding import FAILING_CALL, Guarding
from dbopt.gateway.naming import FAILING_MESSAGE, FLUSH, REFUSED
from dbopt.gateway.request import CLOSE_HIDDEN, EXECUTE, FUNCTION, QUERY, SYNC_REQUEST, Request
from dbopt.gateway.statements import NOWHERE, Prepared
from dbopt.sql.effects import bounded_effects
from dbopt.wire import encode
from dbopt.wire.types import (
    F_BIND,
    F_CLOSE,
    F_COPY_DATA,
    F_COPY_DONE,
    F_COPY_FAIL,
    F_DESCRIBE,
    F_EXECUTE,
    F_FLUSH,
    F_FUNCTION_CALL,
    F_PARSE,
    F_QUERY,
    F_SYNC,
    F_TERMINATE,
    MAX_SMALL_LENGTH,
)

_length = Struct("!i").unpack_from
_PASSING = frozenset((F_COPY_DATA, F_FLUSH))
_BATCH = frozenset((F_PARSE, F_BIND, F_DESCRIBE, F_CLOSE))
_SYNC = encode.sync()
_CLOSE_NOWHERE = encode.close_statement(NOWHERE)


class Upstream(Guarding):
    """The client's side of the relay. It outlives leases: names belong to the client."""

    __slots__ = ()

    def forward(
        self, data: bytes, prepared: Prepared, now: float, out: list[bytes], queue_us: float = 0.0
    ) -> int:
        """Appends to `out` what the backend is to be sent; gives the bytes that were taken.

        The rest of `data` begins with a message that is incomplete or must wait (`blocked`, `held`,
        `unjudged`, `paced`). `queue_us` is the first statement's. Sets `closing` on Terminate.
        """
        ledger = self.ledger
        watched = ledger.scope.watch is not None or ledger.limited is not None
        size = len(data) if ledger.limited is None else 0
        position = min(self.pass_bytes, size)
        self.pass_bytes -= position
        start = ledger.mark = 0
        while size - position >= 5:
            kind = data[position]
            length = _length(data, position + 1)[0]
            if not 4 <= length <= MAX_SMALL_LENGTH:
                check_length(kind, length)
            end = position + 1 + length
            if end > size:
                if kind == F_COPY_DATA:  # it need not be gathered first
                    self.pass_bytes, position = end - size, size
                break
            instead = None
            if kind == F_QUERY:
                if ledger.open_batch and not ledger.skipping:
                    out += (data[start:position], self._fence())
                    start = position
                instead, queue_us = self._query(data, position, end, prepared, now, queue_us), 0.0
            elif kind == F_SYNC:
                if not ledger.copying:
                    ledger.end_batch(SYNC_REQUEST)
                    ledger.open_batch = ledger.skipping = False
            elif kind == F_EXECUTE:
                instead = self._execute(data, position + 5, end, prepared, now, queue_us)
                queue_us = 0.0
            elif kind not in _PASSING:
                if self.by_sql and kind in _BATCH and not ledger.open_batch:
                    out += (data[start:position], *self._before_batch(prepared))
                    start = position
                instead = self._other(kind, data, position, end, prepared, now)
                if self.closing:
                    out.append(data[start:position])
                    return size
            elif length != 4 and kind == F_FLUSH and not (ledger.copying or ledger.open_batch):
                ledger.open(now)  # it fails, and the server skips all up to Sync
            stopped = self.blocked or self.held or (watched and (self.unjudged or self.paced))
            if instead is not None:
                out += (data[start:position], *instead)
                start = position if stopped else end
            if stopped:
                break
            position = end
            if watched and ledger.limited is not None:
                self.paced = True
                break
        if start < position:
            out.append(data if start == 0 and position == size else data[start:position])
        return position

    def _query(
        self, data: bytes, position: int, end: int, prepared: Prepared, now: float, queue_us: float
    ) -> list[bytes] | None:
        """What to send instead of a Query; None where it passes as it is."""
        ledger = self.ledger
        text = data[position + 5 : end - 1]
        if ledger.skipping:
            ledger.copying = False
            return None  # the server discards it, as all up to Sync
        request = Request(QUERY, text, now)
        request.queue_us = queue_us
        request.count = count = ledger.scope.count(text)
        request.timeout = count.timeout
        instead = None
        if count.special:
            instead = self._special_query(request, text, prepared)
            if self.paced:
                return [FLUSH]  # the server may keep back the answers that this waits for
            if self.blocked or self.held or self.unjudged:
                return None
        ledger.copying = False  # a COPY that still went on would end the connection
        ledger.runs(request, end)
        if request.work is not None:
            self._enter_work(request, request.work)
            ledger.ends += 1
            ledger.batch += 1
        else:
            ledger.end_batch(request)
        ledger.open_batch = False
        prepared.unnamed = self.unnamed = None
        return instead

    def _special_query(
        self, request: Request, text: bytes, prepared: Prepared
    ) -> list[bytes] | None:
        entries = bounded_effects(text)
        if self._refuses_query(text, entries, request):
            return [encode.query(REFUSED)]
        if self.unjudged or self._hold_entries(entries) or self._must_wait(entries):
            return None
        # Before any name is changed: this is done again when what is in flight is answered.
        if (not self.ledger.copying and self._must_be_alone(request)) or not entries:
            return None
        if refused := self._refusal(entries, text):
            request.refusal = refused
            return [encode.query(REFUSED)]
        rewriting = self._rewriting(text, entries, prepared, at_once=True)
        request.work = rewriting.work
        first = [self._hidden_close(statement) for statement in rewriting.closed]
        if self.ledger.open_batch:  # which had what PREPARE makes before it began
            first += [self._hidden_parse(statement) for statement in rewriting.needed]
        else:
            first += [self._make(statement, prepared) for statement in rewriting.needed]
        if not first and rewriting.sql is text:
            return None
        return [*first, encode.query(rewriting.sql)]

    def _execute(
        self, data: bytes, start: int, end: int, prepared: Prepared, now: float, queue_us: float
    ) -> list[bytes] | None:
        """What to send instead of an Execute; None where it passes as it is."""
        ledger = self.ledger
        if not ledger.open_batch:
            ledger.open(now)
        ledger.copying = False
        if ledger.skipping:
            return None
        if start < end and data[start] == 0:
            statement = self.portals.get(b"")
        else:
            statement = self.portals.get(data[start : terminator(data, start, end)])
        if statement is not None and statement.special:
            effects = statement.effects
            if self._hold_entries(effects) or self._must_wait(effects):
                return None
        request = Request(EXECUTE, statement.sql if statement is not None else b"", now, statement)
        request.queue_us = queue_us
        refused = False
        if ledger.scope.watch is not None:
            refused = self._refuses_execute(statement, request)
            if self.unjudged:
                return None
            if self._must_be_alone(request):
                return [FLUSH]  # as above
        ledger.runs(request, end)
        if not refused and statement is not None and statement.work is not None:
            work = statement.work.again()
            for step in work.steps:
                work.change(self.names, prepared, step)
            self._enter_work(request, work)
        else:
            ledger.requests.append(request)
        if refused:
            return [FAILING_MESSAGE]
        # What follows waits for the answer, so the server must not wait for a Sync.
        return [data[start - 5 : end], FLUSH] if request.max_rows else None

    def _other(
        self, kind: int, data: bytes, position: int, end: int, prepared: Prepared, now: float
    ) -> list[bytes] | None:
        """What to send instead of a message; None where it passes as it is."""
        ledger = self.ledger
        start = position + 5
        if kind in (F_COPY_DONE, F_COPY_FAIL):
            ledger.copy_ended()
            return None
        if kind == F_FUNCTION_CALL:
            return self._function_call(data, position, end, now)
        if kind == F_TERMINATE:
            self.closing = True
            return []
        if kind not in KNOWN:
            raise unknown_type(kind)
        ledger.copying = False
        ledger.ahead = True
        if not ledger.open_batch:
            ledger.open(now)
        if kind == F_PARSE:
            if ledger.scope.watch is not None:
                return self._judged_parse(data, start, end, prepared, now)
            return self._parse(data, start, end, prepared, now)
        if kind == F_BIND:
            return self._bind(data, start, end, prepared)
        if kind == F_DESCRIBE:
            return self._describe(data, start, end, prepared)
        return self._close(data, start, end, prepared)

    def _fence(self) -> bytes:
        """Tells an error of the open batch from one of the Query that follows without a Sync.

        Bind and Describe are in no ledger, so the batch gets an end that is.
        """
        self.ledger.requests.append(Request(CLOSE_HIDDEN))
        self.spoilt = True  # PostgreSQL 18 does not end such a batch well
        return _CLOSE_NOWHERE

    def _function_call(
        self, data: bytes, position: int, end: int, now: float
    ) -> list[bytes] | None:
        ledger = self.ledger
        if ledger.skipping:
            return None
        request = Request(FUNCTION, b"function call", now)
        refused = self._refuses_function(request)
        call = FAILING_CALL if refused else data[position:end]
        instead = [self._fence(), call] if ledger.open_batch else [call] if refused else None
        ledger.end_batch(request)
        ledger.runs(request, end)
        ledger.open_batch = False
        return instead
