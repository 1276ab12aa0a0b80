"""Naming: prepared statements' names, the client's and the server's, and who has which.

The part of Upstream for the messages that name a statement: they are made anew, because the name
that the client gave is not the one that the server knows.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from dbopt.errors import FeatureNotSupported
from dbopt.gateway.framing import terminator
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.names import Names
from dbopt.gateway.request import CHECK, CLOSE, CLOSE_HIDDEN, ENSURE, PARSE, PARSE_HIDDEN, Request
from dbopt.gateway.special import End, Rewriting, Step, channels, outdated, refusal
from dbopt.gateway.statements import NOWHERE, PREFIX, Prepared, Registry, Statement
from dbopt.sql.effects import Effect, SessionStatement
from dbopt.wire import encode
from dbopt.wire.report import ErrorResponse

_word = Struct("!i").pack
_STATEMENT = 0x53
_SYNC = encode.sync()
_CLOSE_NOWHERE = encode.close_statement(NOWHERE)
_CLOSE_UNNAMED = encode.close_statement(b"")
FLUSH = encode.flush()
_CHANGED: Final = ErrorResponse(
    {
        "S": b"ERROR", "V": b"ERROR", "C": b"0A000",
        "M": b"cached plan must not change result type", "R": b"RevalidateCachedQuery",
    }
).encode()  # fmt: skip
"""As PostgreSQL says it: drivers know it by its words or by its routine, and prepare anew."""
REFUSED: Final = b"dbopt refuses"
"""No SQL: the server's error keeps the refusal's place among the replies, whatever its status."""
FAILING_MESSAGE: Final = encode.parse(NOWHERE, REFUSED)
"""Fails in the place of any extended-protocol message, and touches no statement that there is."""


class Naming(Names):
    """The client's side of the relay. It outlives leases: names belong to the client.

    `shared_listen`: LISTEN is done by a shared listener; `subscribed` are the channels that it
    listens on for this client, and `blocked` those that it must before the client goes on.
    `refuse`: what cannot be shared is refused. `by_sql`: it has used PREPARE. `happened` are the
    effects that have come true, and the ends of their transactions; who reads them clears the
    list. `unsettled`: that end has not come. `spoilt`: the backend had better not be used again.
    """

    __slots__ = (
        "_changed",
        "blocked",
        "by_sql",
        "closing",
        "happened",
        "pass_bytes",
        "portals",
        "refuse",
        "shared_listen",
        "spoilt",
        "subscribed",
        "unsettled",
    )  # fmt: skip

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        super().__init__(ledger, registry)
        self.portals: dict[bytes, Statement | None] = {}
        self._changed: Statement | None = None
        self.pass_bytes = 0
        self.closing = False
        self.shared_listen = self.refuse = self.spoilt = self.unsettled = False
        self.by_sql = False
        self.blocked: set[bytes] = set()
        self.subscribed: set[bytes] = set()
        self.happened: list[Step | End] = []

    def at_rest(self) -> None:
        """The transaction is over, nothing is in flight, and the backend is kept: no portal is."""
        self.portals.clear()

    def begin(self, prepared: Prepared) -> list[bytes]:
        """What a backend is sent first in a new lease.

        Closes of statements that it has too many of: never later, since within a pipeline they
        could reach what it still uses.
        """
        self.portals.clear()
        self._changed = None
        evicted = prepared.overflow()
        self.ledger.requests.extend(Request(CLOSE_HIDDEN) for _ in evicted)
        return [encode.close_statement(name) for name in evicted]

    def _before_batch(self, prepared: Prepared) -> list[bytes]:
        """What the client has prepared by SQL: within a batch there is no place for a PREPARE."""
        return [
            self._make(statement, prepared)
            for statement in dict.fromkeys(self.names.values())
            if statement.in_sql and not prepared.use(statement.name)
        ]

    def _make(self, statement: Statement, prepared: Prepared) -> bytes:
        """Have a statement prepared outside of any batch, by a query of the gateway's own."""
        first = b"".join(self._close_stale(statement, prepared))
        prepared.add(statement.name)
        self.ledger.hide(ENSURE, statement)
        if statement.in_sql:
            prepared.unnamed = None
            return first + statement.message
        return first + statement.message + _SYNC

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
        self,
        text: bytes,
        entries: tuple[SessionStatement, ...],
        prepared: Prepared,
        *,
        at_once: bool,
    ) -> Rewriting:
        self.by_sql = self.by_sql or any(entry.kind is Effect.PREPARE for entry in entries)
        return Rewriting(
            text, entries, self.names, prepared, self.registry,
            shared_listen=self.shared_listen, at_once=at_once,
        )  # fmt: skip

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
                return self._parse_special(b"", statement, prepared, now)
            request = Request(PARSE, sql, now, statement)
            request.former = self.unnamed
            self.unnamed = prepared.unnamed = statement
            self._enter(request, b"", statement)
            return None
        known = self.names.get(name)
        statement = known or self.registry.statement(sql, types)
        if self._hold(name, statement):
            return None
        if known is not None:
            return self._duplicate(known, sql, types, prepared, now)
        if statement.special:
            return self._parse_special(name, statement, prepared, now)
        self.names[name] = statement
        # Parsed anew where it is known, so that the server answers as it does to a client of its
        # own: with an error in a failed transaction, and of the table as it is by now.
        messages = self._close_first(statement, prepared)
        request = Request(PARSE, sql, now, statement, name)
        request.known = bool(messages)
        self._enter(request, name, statement)
        self._enter(Request(CHECK, b"", 0.0, statement, name))
        prepared.add(statement.name)
        return [*messages, statement.message, encode.describe_statement(statement.name)]

    def _close_first(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        """The Close that lets a name be parsed again, where the backend has it."""
        name = statement.name
        if not prepared.use(name) and name not in prepared.stale:
            return []
        prepared.stale.discard(name)
        return [self._hidden_close(statement)]

    def _close_stale(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        if statement.name not in prepared.stale:
            return []
        prepared.stale.discard(statement.name)
        return [self._hidden_close(statement)]

    def _hidden_close(self, statement: Statement) -> bytes:
        self._enter(Request(CLOSE_HIDDEN))
        return encode.close_statement(statement.name)

    def _parse_special(
        self, name: bytes, known: Statement, prepared: Prepared, now: float
    ) -> list[bytes]:
        """A special text is the client's own: what it says hangs on the client's names."""
        if self._hold_entries(known.effects) or self._must_wait(known.effects):
            return []
        request = Request(PARSE, known.sql, now, None, name)
        request.former = self.unnamed
        if refused := self._refusal(known.effects, known.sql):
            request.refusal, request.sqlstate = refused, FeatureNotSupported.sqlstate
            self._enter(request)
            return [self._failing_parse(name, prepared)]
        statement, messages = self._clients_own(name, known, prepared)
        request.statement = statement
        self._enter(request, name, statement)
        return [*messages, statement.message]

    def _failing_parse(self, name: bytes, prepared: Prepared) -> bytes:
        """What fails on the server in the place of a Parse of that name, and leaves the same."""
        if not name:
            self.unnamed = prepared.unnamed = None
        return encode.parse(NOWHERE if name else b"", REFUSED)

    def _clients_own(
        self, name: bytes, known: Statement, prepared: Prepared
    ) -> tuple[Statement, list[bytes]]:
        """A special text as this client's statement, and what must be sent before its Parse."""
        rewriting = self._rewriting(known.sql, known.effects, prepared, at_once=False)
        server_name = self.registry.new_name() if name else b""
        statement = Statement(server_name, rewriting.sql, known.types)
        statement.sql, statement.effects, statement.special = known.sql, known.effects, True
        statement.work = rewriting.work
        statement.needs = tuple(
            step.statement for step in rewriting.work.steps
            if step.statement is not None and step.entry.kind is Effect.EXECUTE
        )  # fmt: skip
        messages = [self._hidden_close(closed) for closed in rewriting.closed]
        for needed in rewriting.needed:
            messages += [*self._close_stale(needed, prepared), self._hidden_parse(needed)]
        if name:
            self.names[name] = statement
            prepared.add(server_name)
        else:
            self.unnamed = prepared.unnamed = statement
        return statement, messages

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
        if self.held:
            return messages
        self.portals[portal] = statement
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
        if self.held:
            return messages
        if not name:
            return [*messages, data[start - 5 : end]] if messages else None
        server_name = statement.name if statement is not None else _unknown(name)
        return [*messages, b"D" + _word(6 + len(server_name)) + b"S" + server_name + b"\0"]

    def _close(self, data: bytes, start: int, end: int, prepared: Prepared) -> list[bytes] | None:
        if start == end or data[start] != _STATEMENT:
            self.portals.pop(data[start + 1 : end - 1], None)
            self._enter(Request(CLOSE))
            return None
        if self.ledger.skipping:
            return None  # the server discards it
        name = data[start + 1 : terminator(data, start + 1, end)]
        if self._hold(name):
            return None
        if not name:
            self._enter(Request(CLOSE, b"", 0.0, self.unnamed), b"")
            self.unnamed = prepared.unnamed = None
            return None
        # The server's statement stays: other clients may use it.
        self._enter(Request(CLOSE, b"", 0.0, self.names.pop(name, None), name), name)
        return [_CLOSE_NOWHERE]

    def _find(self, name: bytes, prepared: Prepared) -> tuple[Statement | None, list[bytes]]:
        """The client's statement, and what this backend must be sent first, if anything."""
        statement = self.names.get(name) if name else self.unnamed
        if self.ledger.skipping or self._hold_statement(name, statement):
            return statement, []
        if statement is not None and statement.work is not None and outdated(statement, self.names):
            statement, messages = self._clients_own(name, statement, prepared)
            return statement, [*messages, self._hidden_parse(statement)]
        if name:
            return statement, self._ensure_same(statement, prepared) if statement else []
        if statement is None:
            # The server may have another client's: this one must not reach it.
            prepared.unnamed = None
            self._enter(Request(CLOSE_HIDDEN))
            return None, [_CLOSE_UNNAMED]
        if statement is prepared.unnamed:
            return statement, []
        # Another client parsed its own unnamed statement on this backend meanwhile.
        prepared.unnamed = statement
        return statement, [self._hidden_parse(statement)]

    def _hold_statement(self, name: bytes, statement: Statement | None) -> bool:
        if statement is None:
            return self._hold(name)
        entries = statement.effects if statement.special else ()
        return self._hold_entries(entries, name, statement, *statement.needs)

    def _ensure_same(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        """Have a statement prepared, and of the shape that the client was told.

        Where the backend lacks it the message is held until the server has described it: a
        client that goes by the old shape would read the new one's rows amiss.
        """
        if self._changed is statement:
            self._changed = None
            request = Request(PARSE)
            request.refusal, request.sqlstate = _CHANGED, FeatureNotSupported.sqlstate
            self._enter(request)
            return [FAILING_MESSAGE]
        if statement.shape is None or prepared.use(statement.name):
            return self._ensure(statement, prepared)
        messages = self._ensure(statement, prepared)
        request = Request(CHECK, b"", 0.0, statement)
        self.ledger.await_(request)
        self.held = (request,)
        return [*messages, encode.describe_statement(statement.name), FLUSH]

    def described(self, request: Request, shape: bytes, prepared: Prepared) -> None:
        """The server has described a statement that it was sent just before."""
        statement = request.statement
        if statement is None or statement.shape is None or statement.shape == shape:
            if statement is not None:
                statement.shape = shape
            return
        # Its tables have changed: clients that know it are told so when they next use it.
        self.registry.forget(statement)
        prepared.outdate(statement.name)
        if not request.name:
            self._changed = statement
        elif self.names.get(request.name) is statement:
            self.names[request.name] = new = self.registry.statement(statement.sql, statement.types)
            new.shape = shape  # as this client is told

    def _ensure(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        messages = [one for needed in statement.needs for one in self._ensure(needed, prepared)]
        if prepared.use(statement.name):
            return messages
        messages += self._close_first(statement, prepared)
        prepared.add(statement.name)
        return [*messages, self._hidden_parse(statement)]

    def _hidden_parse(self, statement: Statement) -> bytes:
        self._enter(Request(PARSE_HIDDEN, b"", 0.0, statement), statement)
        return statement.message


def _unknown(name: bytes) -> bytes:
    """A name that the client never prepared: the server is to refuse it by that name.

    One that looks like the gateway's own must not reach another client's statement.
    """
    return NOWHERE if name.startswith(PREFIX) else name
