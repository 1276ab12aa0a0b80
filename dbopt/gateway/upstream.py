"""What goes from the client to its backend: bytes in, bytes out, entries in the ledger.

Most bytes pass as they came. Only the messages that name a prepared statement are made anew,
because the name that the client gave is not the one that the server knows.
"""

from __future__ import annotations

from struct import Struct

from dbopt.errors import FeatureNotSupported
from dbopt.gateway.framing import KNOWN, impossible_length, terminator, unknown_type
from dbopt.gateway.ledger import (
    CLOSE,
    CLOSE_AS_PARSE,
    CLOSE_HIDDEN,
    ENSURE,
    EXECUTE,
    FUNCTION,
    PARSE,
    PARSE_HIDDEN,
    QUERY,
    SYNC_REQUEST,
    Ledger,
    Request,
)
from dbopt.gateway.special import Rewriting, Step, channels, refusal, undo
from dbopt.gateway.statements import NOWHERE, PREFIX, Prepared, Registry, Statement
from dbopt.sql.effects import SessionStatement, bounded_effects
from dbopt.wire import encode
from dbopt.wire.report import ErrorResponse
from dbopt.wire.types import (
    F_BIND,
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
    IN_ERROR,
    MAX_MESSAGE_LENGTH,
)

_length = Struct("!i").unpack_from
_word = Struct("!i").pack
_STATEMENT = 0x53
_PASSING = frozenset((F_COPY_DATA, F_FLUSH))
_SYNC = encode.sync()
_CLOSE_NOWHERE = encode.close_statement(NOWHERE)
_REFUSED = b"dbopt refuses"
"""No SQL: the server's error keeps the refusal's place among the replies, whatever its status."""
_CLOSE_UNNAMED = encode.close_statement(b"")


class Upstream:
    """The client's side of the relay. It outlives leases: names belong to the client.

    `shared_listen`: LISTEN is done by a shared listener; `subscribed` are the channels that it
    listens on for this client, and `blocked` those that it must before the client goes on.
    `refuse`: what cannot be shared is refused. `happened` are the effects that have come true;
    who reads them clears the list. `spoilt`: the backend had better not be used again.
    """

    __slots__ = (
        "_portals", "blocked", "closing", "happened", "ledger", "names", "pass_bytes", "refuse",
        "registry", "shared_listen", "spoilt", "subscribed", "unnamed",
    )  # fmt: skip

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.ledger = ledger
        self.registry = registry
        self.names: dict[bytes, Statement] = {}
        self.unnamed: Statement | None = None
        self._portals: dict[bytes, Statement | None] = {}
        self.pass_bytes = 0
        self.closing = False
        self.shared_listen = self.refuse = self.spoilt = False
        self.blocked: set[bytes] = set()
        self.subscribed: set[bytes] = set()
        self.happened: list[Step] = []

    def begin(self, prepared: Prepared, kind: int) -> list[bytes]:
        """What a backend is sent first in a new lease, whose first message is of that kind.

        Closes of statements that it has too many of: never later, since within a pipeline they
        could reach what it still uses. And what the client has prepared by SQL: in a batch
        there is no place for a PREPARE.
        """
        self._portals.clear()
        evicted = prepared.overflow()
        self.ledger.requests.extend(Request(CLOSE_HIDDEN) for _ in evicted)
        messages = [encode.close_statement(name) for name in evicted]
        if kind != F_QUERY:
            for statement in self.names.values():
                if statement.in_sql and not prepared.use(statement.name):
                    messages.append(self._make(statement, prepared))
        return messages

    def _make(self, statement: Statement, prepared: Prepared) -> bytes:
        """Have a statement prepared outside of any batch, by a query of the gateway's own."""
        prepared.add(statement.name)
        self.ledger.hide(ENSURE, statement)
        if statement.in_sql:
            prepared.unnamed = None
            return statement.message
        return statement.message + _SYNC

    def outdate(self, head: Request | None, skipped: list[Request], prepared: Prepared) -> None:
        """The server refused to run a statement since its result has changed: prepare it anew."""
        found = [r.statement for r in skipped if r.kind == EXECUTE and r.statement is not None]
        if head is not None and head.work is not None:
            found += [step.statement for step in head.work.steps if step.statement is not None]
        for statement in found[:1] if skipped else found:
            self.registry.forget(statement)
            prepared.outdate(statement.name)
        if not found:
            prepared.outdate()  # a Bind without an Execute: it is not known of which

    def in_clients_words(self, error: ErrorResponse) -> bytes | None:
        """The error with the client's name of a statement for the server's; None if it has none."""
        message = error.fields.get("M", b"")
        if b'"' + PREFIX not in message:
            return None
        for name, statement in self.names.items():
            quoted = b'"' + statement.name + b'"'
            if statement.name and quoted in message:
                message = message.replace(quoted, b'"' + name + b'"')
                return ErrorResponse({**error.fields, "M": message}).encode()
        return None

    def undo(self, skipped: list[Request], prepared: Prepared) -> None:
        """The server skipped these requests after an error: what they were to do is undone.

        The last first: a name that was made and then closed must not come back.
        """
        for request in reversed(skipped):
            if request.work is not None:
                undo(request.work, self.names, prepared)
            statement = request.statement
            if statement is None or request.kind == EXECUTE:
                continue
            if request.kind == CLOSE:
                self._restore(request.name, statement)
                continue
            if request.name and self.names.get(request.name) is statement:
                del self.names[request.name]
            if request.kind == PARSE and self.unnamed is statement:
                self.unnamed = None
            if request.kind in (PARSE, PARSE_HIDDEN):
                self._forget(statement, prepared)
                if statement.work is not None:
                    undo(statement.work, self.names, prepared)

    def _restore(self, name: bytes, statement: Statement) -> None:
        if name:
            self.names[name] = statement
        else:
            self.unnamed = statement

    def _forget(self, statement: Statement, prepared: Prepared) -> None:
        if statement.name:
            prepared.discard(statement.name)
        elif prepared.unnamed is statement:
            prepared.unnamed = None

    def forget_names(self) -> None:
        """The client ran DISCARD ALL or DEALLOCATE ALL: its names are gone."""
        self.names.clear()

    def forward(
        self, data: bytes, prepared: Prepared, now: float, out: list[bytes], queue_us: float = 0.0
    ) -> int:
        """Appends to `out` what the backend is to be sent; gives the bytes that were taken.

        The rest of `data` is an incomplete message. `queue_us` is charged to the first
        statement. Sets `closing` on Terminate.
        """
        ledger = self.ledger
        size = len(data)
        position = min(self.pass_bytes, size)
        self.pass_bytes -= position
        start = 0
        while size - position >= 5:
            kind = data[position]
            length = _length(data, position + 1)[0]
            if not 4 <= length <= MAX_MESSAGE_LENGTH:
                raise impossible_length(kind, length)
            end = position + 1 + length
            if end > size:
                if kind == F_COPY_DATA:  # it need not be gathered first
                    self.pass_bytes = end - size
                    position = size
                break
            if kind == F_QUERY:
                if ledger.open_batch and not ledger.skipping:
                    out.append(data[start:position])
                    out.append(self._fence())
                    start = position
                instead = self._query(data[position + 5 : end - 1], prepared, now, queue_us)
                if self.blocked:
                    break
                if instead is not None:
                    if start < position:
                        out.append(data[start:position])
                    out += instead
                    start = end
                queue_us = 0.0
            elif kind == F_SYNC:
                if not ledger.copying:
                    ledger.requests.append(SYNC_REQUEST)
                    ledger.ends += 1
                    ledger.open_batch = ledger.skipping = False
            elif kind == F_EXECUTE:
                self._execute(data, position + 5, end, now, queue_us)
                if self.blocked:
                    break
                queue_us = 0.0
            elif kind not in _PASSING:
                message = self._other(kind, data, position, end, prepared, now)
                if self.blocked:
                    break
                if message is not None:
                    if start < position:
                        out.append(data[start:position])
                    if self.closing:
                        return size
                    out.extend(message)
                    start = end
            position = end
        if start < position:
            out.append(data if start == 0 and position == size else data[start:position])
        return position

    def _query(
        self, text: bytes, prepared: Prepared, now: float, queue_us: float
    ) -> list[bytes] | None:
        """What to send instead of a Query; None where it passes as it is."""
        ledger = self.ledger
        if ledger.skipping:
            return None  # the server discards it, as all up to Sync
        request = Request(QUERY, text, now)
        request.queue_us = queue_us
        request.count = count = ledger.scope.count(text)
        instead = self._special_query(request, text, prepared) if count.special else None
        if self.blocked:
            return None
        ledger.requests.append(request)
        ledger.ends += 1
        ledger.open_batch = False
        prepared.unnamed = self.unnamed = None
        return instead

    def _special_query(
        self, request: Request, text: bytes, prepared: Prepared
    ) -> list[bytes] | None:
        entries = bounded_effects(text)
        if not entries or self._must_wait(entries):
            return None
        if refused := self._refusal(entries, text):
            request.refusal = refused
            return [encode.query(_REFUSED)]
        rewriting = self._rewriting(text, entries, prepared)
        request.work = rewriting.work
        first = []
        if not self.ledger.open_batch:
            first = [self._make(statement, prepared) for statement in rewriting.needed]
        if not first and rewriting.sql is text:
            return None
        return [*first, encode.query(rewriting.sql)]

    def _must_wait(self, entries: tuple[SessionStatement, ...]) -> bool:
        """Whether the shared listener must listen before the client goes on."""
        if self.shared_listen:
            self.blocked = channels(entries) - self.subscribed
        return bool(self.blocked)

    def _refusal(self, entries: tuple[SessionStatement, ...], text: bytes) -> bytes:
        """The error for what cannot be shared; b"" where all can, or may."""
        what = refusal(entries, text) if self.refuse else ""
        if not what:
            return b""
        return encode.error_response(
            FeatureNotSupported(
                f"The gateway refuses {what}: it would outlive the transaction on a shared "
                "server connection.",
                hint='Set pool.unshareable = "pin", or a pool of mode "session" for this user.',
            )
        )

    def _rewriting(
        self, text: bytes, entries: tuple[SessionStatement, ...], prepared: Prepared
    ) -> Rewriting:
        return Rewriting(
            text, entries, self.names, prepared, self.registry, shared_listen=self.shared_listen
        )

    def _execute(self, data: bytes, start: int, end: int, now: float, queue_us: float) -> None:
        ledger = self.ledger
        ledger.open_batch = True
        if ledger.skipping:
            return
        if start < end and data[start] == 0:
            statement = self._portals.get(b"")
        else:
            statement = self._portals.get(data[start : terminator(data, start, end)])
        if statement is not None and statement.special and self._must_wait(statement.effects):
            return
        request = Request(EXECUTE, statement.sql if statement is not None else b"", now, statement)
        request.queue_us = queue_us
        if statement is not None and statement.work is not None:
            request.work = statement.work.again()
        ledger.requests.append(request)

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
        ledger.open_batch = True
        if kind == F_PARSE:
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
        fence = [self._fence(), data[position:end]] if ledger.open_batch else None
        ledger.requests.append(Request(FUNCTION, b"function call", now))
        ledger.ends += 1
        ledger.open_batch = False
        return fence

    def _parse(
        self, data: bytes, start: int, end: int, prepared: Prepared, now: float
    ) -> list[bytes] | None:
        name_end = terminator(data, start, end)
        sql_end = terminator(data, name_end + 1, end)
        name, sql, types = (
            data[start:name_end],
            data[name_end + 1 : sql_end],
            data[sql_end + 1 : end],
        )
        if self.ledger.skipping:
            return None  # the server discards it
        if not name:
            statement = self.registry.unnamed_statement(data[start - 5 : end], sql, types)
            if statement.special:
                return self._parse_special(b"", statement, types, prepared, now)
            self.unnamed = prepared.unnamed = statement
            self._enter(Request(PARSE, sql, now, statement))
            return None
        known = self.names.get(name)
        if known is not None:
            return self._duplicate(known, sql, types, prepared, now)
        statement = self.registry.statement(sql, types)
        if statement.special:
            return self._parse_special(name, statement, types, prepared, now)
        self.names[name] = statement
        if not prepared.use(statement.name):
            self._enter(Request(PARSE, sql, now, statement, name))
            prepared.add(statement.name)
            return [statement.message]
        if self.ledger.status == IN_ERROR:
            # The server refuses a Parse in a failed transaction, and a Close not. The unnamed
            # statement is parsed instead: a second Parse of the name would fail in any case.
            prepared.unnamed = None
            instead = encode.parse(b"", sql, types)
        else:
            # The reply must come in its place among the others, and not at all after an
            # error: so the server is asked something harmless in its stead.
            instead = _CLOSE_NOWHERE
        self._enter(Request(CLOSE_AS_PARSE, b"", now, statement, name))
        return [instead]

    def _parse_special(
        self, name: bytes, known: Statement, types: bytes, prepared: Prepared, now: float
    ) -> list[bytes]:
        """A special text is the client's own: what it says hangs on the client's names."""
        if self._must_wait(known.effects):
            return []
        request = Request(PARSE, known.sql, now, None, name)
        if refused := self._refusal(known.effects, known.sql):
            request.refusal = refused
            self._enter(request)
            return [encode.parse(b"", _REFUSED)]
        rewriting = self._rewriting(known.sql, known.effects, prepared)
        server_name = self.registry.new_name() if name else b""
        statement = Statement(server_name, rewriting.sql, types)
        statement.sql, statement.effects, statement.special = known.sql, known.effects, True
        statement.work, statement.needs = rewriting.work, tuple(rewriting.needed)
        request.statement = statement
        messages = [self._hidden_parse(needed) for needed in rewriting.needed]
        self._enter(request)
        if name:
            self.names[name] = statement
            prepared.add(server_name)
        else:
            self.unnamed = prepared.unnamed = statement
        return [*messages, statement.message]

    def _duplicate(
        self, known: Statement, sql: bytes, types: bytes, prepared: Prepared, now: float
    ) -> list[bytes]:
        # PostgreSQL refuses a second Parse of a name. The server itself says so, in order,
        # when it is sent a Parse of a name that it has.
        messages = self._ensure(known, prepared)
        self._enter(Request(PARSE, sql, now))
        return [*messages, encode.parse(known.name, sql, types)]

    def _bind(self, data: bytes, start: int, end: int, prepared: Prepared) -> list[bytes] | None:
        portal_end = terminator(data, start, end)
        name_end = terminator(data, portal_end + 1, end)
        portal, name = data[start:portal_end], data[portal_end + 1 : name_end]
        statement, messages = self._find(name, prepared)
        self._portals[portal] = statement
        if not name:
            return [*messages, data[start - 5 : end]] if messages else None
        server_name = statement.name if statement is not None else _unknown(name)
        length = (end - start) + 4 - len(name) + len(server_name)
        return [
            *messages,
            b"B" + _word(length) + data[start : portal_end + 1] + server_name + data[name_end:end],
        ]

    def _describe(
        self, data: bytes, start: int, end: int, prepared: Prepared
    ) -> list[bytes] | None:
        if start == end or data[start] != _STATEMENT:
            return None
        name = data[start + 1 : terminator(data, start + 1, end)]
        statement, messages = self._find(name, prepared)
        if not name:
            return [*messages, data[start - 5 : end]] if messages else None
        server_name = statement.name if statement is not None else _unknown(name)
        return [*messages, b"D" + _word(6 + len(server_name)) + b"S" + server_name + b"\0"]

    def _close(self, data: bytes, start: int, end: int, prepared: Prepared) -> list[bytes] | None:
        if start == end or data[start] != _STATEMENT:
            self._enter(Request(CLOSE))
            return None
        if self.ledger.skipping:
            return None  # the server discards it
        name = data[start + 1 : terminator(data, start + 1, end)]
        if not name:
            self._enter(Request(CLOSE, b"", 0.0, self.unnamed))
            self.unnamed = prepared.unnamed = None
            return None
        # The server's statement stays: other clients may use it.
        self._enter(Request(CLOSE, b"", 0.0, self.names.pop(name, None), name))
        return [_CLOSE_NOWHERE]

    def _find(self, name: bytes, prepared: Prepared) -> tuple[Statement | None, list[bytes]]:
        """The client's statement, and what this backend must be sent first, if anything."""
        statement = self.names.get(name) if name else self.unnamed
        if self.ledger.skipping:
            return statement, []
        if name:
            return statement, self._ensure(statement, prepared) if statement else []
        if statement is None:
            # The server may have another client's: this one must not reach it.
            prepared.unnamed = None
            self._enter(Request(CLOSE_HIDDEN))
            return None, [_CLOSE_UNNAMED]
        if statement is prepared.unnamed:
            return statement, []
        # Another client parsed its own unnamed statement on this backend meanwhile.
        prepared.unnamed = statement
        self._enter(Request(PARSE_HIDDEN, b"", 0.0, statement))
        return statement, [statement.message]

    def _ensure(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        messages = [one for needed in statement.needs for one in self._ensure(needed, prepared)]
        if prepared.use(statement.name):
            return messages
        if statement.name in prepared.stale:
            prepared.stale.discard(statement.name)
            self._enter(Request(CLOSE_HIDDEN))
            messages.append(encode.close_statement(statement.name))
        prepared.add(statement.name)
        return [*messages, self._hidden_parse(statement)]

    def _hidden_parse(self, statement: Statement) -> bytes:
        self._enter(Request(PARSE_HIDDEN, b"", 0.0, statement))
        return statement.message

    def _enter(self, request: Request) -> None:
        if not self.ledger.skipping:
            self.ledger.requests.append(request)


def _unknown(name: bytes) -> bytes:
    """A name that the client never prepared: the server is to refuse it by that name.

    One that looks like the gateway's own must not reach another client's statement.
    """
    return NOWHERE if name.startswith(PREFIX) else name
