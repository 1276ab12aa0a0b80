"""Naming: prepared statements' names, the client's and the server's, and who has which.

The part of Upstream for the messages that name a statement: they are made anew, because the name
that the client gave is not the one that the server knows.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from dbopt.errors import FeatureNotSupported
from dbopt.gateway.framing import terminator
from dbopt.gateway.ledger import (
    CLOSE,
    CLOSE_HIDDEN,
    ENSURE,
    EXECUTE,
    PARSE,
    PARSE_HIDDEN,
    QUERY,
    Ledger,
    Request,
)
from dbopt.gateway.special import End, Rewriting, Step, channels, outdated, refusal, undo
from dbopt.gateway.statements import NOWHERE, PREFIX, Prepared, Registry, Statement
from dbopt.sql.effects import Effect, SessionStatement
from dbopt.wire import encode
from dbopt.wire.report import ErrorResponse

_word = Struct("!i").pack
_STATEMENT = 0x53
_MAKES = frozenset((PARSE, PARSE_HIDDEN))


_SYNC = encode.sync()
_CLOSE_NOWHERE = encode.close_statement(NOWHERE)
_CLOSE_UNNAMED = encode.close_statement(b"")
REFUSED: Final = b"dbopt refuses"
"""No SQL: the server's error keeps the refusal's place among the replies, whatever its status."""


class Naming:
    """The client's side of the relay. It outlives leases: names belong to the client.

    `shared_listen`: LISTEN is done by a shared listener; `subscribed` are the channels that it
    listens on for this client, and `blocked` those that it must before the client goes on.
    `refuse`: what cannot be shared is refused. `by_sql`: it has used PREPARE. `happened` are the
    effects that have come true, and the ends of their transactions; who reads them clears the
    list. `unsettled`: that end has not come. `spoilt`: the backend had better not be used again.
    """

    __slots__ = (
        "_portals", "blocked", "by_sql", "closing", "happened", "ledger", "names", "pass_bytes",
        "refuse", "registry", "shared_listen", "spoilt", "subscribed", "unnamed", "unsettled",
    )  # fmt: skip

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.ledger = ledger
        self.registry = registry
        self.names: dict[bytes, Statement] = {}
        self.unnamed: Statement | None = None
        self._portals: dict[bytes, Statement | None] = {}
        self.pass_bytes = 0
        self.closing = False
        self.shared_listen = self.refuse = self.spoilt = self.unsettled = False
        self.by_sql = False
        self.blocked: set[bytes] = set()
        self.subscribed: set[bytes] = set()
        self.happened: list[Step | End] = []

    def at_rest(self) -> None:
        """The transaction is over, nothing is in flight, and the backend is kept: no portal is."""
        self._portals.clear()

    def begin(self, prepared: Prepared) -> list[bytes]:
        """What a backend is sent first in a new lease.

        Closes of statements that it has too many of: never later, since within a pipeline they
        could reach what it still uses.
        """
        self._portals.clear()
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

    def in_clients_words(self, error: ErrorResponse, head: Request | None) -> bytes | None:
        """The error with the client's name of a statement, and the place in the client's text.

        None where the server's own words are the client's.
        """
        fields = dict(error.fields)
        message, place = fields.get("M", b""), fields.get("P", b"")
        if b'"' + PREFIX in message:
            for name, statement in self.names.items():
                quoted = b'"' + statement.name + b'"'
                if statement.name and quoted in message:
                    fields["M"] = message.replace(quoted, b'"' + name + b'"')
        work = head.work if head is not None else None
        if head is not None and head.kind == PARSE and head.statement is not None:
            work = head.statement.work
        if work is not None and work.shifts and place.isdigit():
            fields["P"] = b"%d" % work.position(int(place))
        return ErrorResponse(fields).encode() if fields != error.fields else None

    def undo(self, skipped: list[Request], prepared: Prepared) -> None:
        """The server skipped these requests after an error: what they were to do is undone.

        The last first: a name that was made and then closed must not come back.
        """
        for request in reversed(skipped):
            if request.work is not None:
                undo(request.work, self.names, prepared)
            statement = request.statement
            if statement is None or request.kind == EXECUTE or request.second:
                continue
            if request.kind == CLOSE:
                self._restore(request.name, statement)
                continue
            again = [r for r in self.ledger.requests if r.statement is statement]
            if not any(r.name == request.name and r.kind == PARSE for r in again):
                self._unname(request, statement)
            if not (request.known and request is not skipped[0]) and not any(
                r.kind in _MAKES for r in again
            ):
                self._forget(statement, prepared)

    def _unname(self, request: Request, statement: Statement) -> None:
        if request.name and self.names.get(request.name) is statement:
            del self.names[request.name]
        if request.kind == PARSE and self.unnamed is statement:
            self.unnamed = None

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
            self.unnamed = prepared.unnamed = statement
            self._enter(Request(PARSE, sql, now, statement))
            return None
        known = self.names.get(name)
        if known is not None:
            return self._duplicate(name, known, sql, types, prepared, now)
        statement = self.registry.statement(sql, types)
        if statement.special:
            return self._parse_special(name, statement, prepared, now)
        self.names[name] = statement
        # Parsed anew where it is known, so that the server answers as it does to a client of its
        # own: with an error in a failed transaction, and of the table as it is by now.
        messages = self._close_first(statement, prepared)
        request = Request(PARSE, sql, now, statement, name)
        request.known = bool(messages)
        self._enter(request)
        prepared.add(statement.name)
        return [*messages, statement.message]

    def _close_first(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        """The Close that lets a name be parsed again, where the backend has it."""
        name = statement.name
        if not prepared.use(name) and name not in prepared.stale:
            return []
        prepared.stale.discard(name)
        return [self._hidden_close(statement)]

    def _hidden_close(self, statement: Statement) -> bytes:
        self._enter(Request(CLOSE_HIDDEN))
        return encode.close_statement(statement.name)

    def _parse_special(
        self, name: bytes, known: Statement, prepared: Prepared, now: float
    ) -> list[bytes]:
        """A special text is the client's own: what it says hangs on the client's names."""
        if self._must_wait(known.effects):
            return []
        request = Request(PARSE, known.sql, now, None, name)
        if refused := self._refusal(known.effects, known.sql):
            request.refusal = refused
            if not name:
                self.unnamed = prepared.unnamed = None  # as by any Parse that fails
            self._enter(request)
            return [encode.parse(b"", REFUSED)]
        statement, messages = self._clients_own(name, known, prepared)
        request.statement = statement
        self._enter(request)
        return [*messages, statement.message]

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
        messages += [self._hidden_parse(needed) for needed in rewriting.needed]
        if name:
            self.names[name] = statement
            prepared.add(server_name)
        else:
            self.unnamed = prepared.unnamed = statement
        return statement, messages

    def _duplicate(
        self,
        name: bytes,
        known: Statement,
        sql: bytes,
        types: bytes,
        prepared: Prepared,
        now: float,
    ) -> list[bytes]:
        # PostgreSQL refuses a second Parse of a name. The server itself says so, in order,
        # when it is sent a Parse of a name that it has; if it has it is not sure while the first
        # is in flight.
        if self._unsure(known) and (sql, types) == (known.sql, known.types):
            request = Request(PARSE, sql, now, known, name)
            request.second = True
            self._enter(request)
            return [known.message]
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
            self._portals.pop(data[start + 1 : end - 1], None)
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
        if statement is not None and statement.work is not None and outdated(statement, self.names):
            statement, messages = self._clients_own(name, statement, prepared)
            return statement, [*messages, self._hidden_parse(statement)]
        if name:
            return statement, self._ensure(statement, prepared) if statement else []
        if statement is None:
            # The server may have another client's: this one must not reach it.
            prepared.unnamed = None
            self._enter(Request(CLOSE_HIDDEN))
            return None, [_CLOSE_UNNAMED]
        if statement is prepared.unnamed and not self._unsure(statement):
            return statement, []
        # Another client parsed its own unnamed statement on this backend meanwhile.
        prepared.unnamed = statement
        self._enter(Request(PARSE_HIDDEN, b"", 0.0, statement))
        return statement, [statement.message]

    def _ensure(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        messages = [one for needed in statement.needs for one in self._ensure(needed, prepared)]
        if prepared.use(statement.name) and not self._unsure(statement):
            return messages
        messages += self._close_first(statement, prepared)
        prepared.add(statement.name)
        return [*messages, self._hidden_parse(statement)]

    def _unsure(self, statement: Statement) -> bool:
        """Whether the Parse that makes it is in flight in an earlier batch, and may be skipped."""
        later = False
        for request in reversed(self.ledger.requests):
            if request.statement is statement and request.kind in _MAKES:
                return later
            later = later or request.kind >= QUERY
        return False

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
