"""What goes from the client to its backend: bytes in, bytes out, entries in the ledger.

Most bytes pass as they came. Only the messages that name a prepared statement are made anew,
because the name that the client gave is not the one that the server knows.
"""

from __future__ import annotations

from struct import Struct

from dbopt.errors import ProtocolError
from dbopt.gateway.ledger import (
    CLOSE,
    CLOSE_AS_PARSE,
    CLOSE_HIDDEN,
    COPY_END,
    EXECUTE,
    FUNCTION,
    PARSE,
    PARSE_HIDDEN,
    QUERY,
    SYNC_REQUEST,
    Ledger,
    Request,
)
from dbopt.gateway.statements import NOWHERE, PREFIX, Prepared, Registry, Statement
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
    IN_ERROR,
    MAX_MESSAGE_LENGTH,
)

_length = Struct("!i").unpack_from
_word = Struct("!i").pack
_STATEMENT = 0x53
_PASSING = frozenset((F_COPY_DATA, F_FLUSH))
_CLOSE_NOWHERE = encode.close_statement(NOWHERE)
_ENDS_TRANSACTION = (b"ROLL", b"COMM", b"END", b"ABOR")


def needed(data: bytes | bytearray) -> int:
    """How many bytes the first message of `data` takes, itself complete or not.

    5 where not even its header is there. ProtocolError on a length that cannot be.
    """
    if len(data) < 5:
        return 5
    length: int = _length(data, 1)[0]
    if not 4 <= length <= MAX_MESSAGE_LENGTH:
        raise ProtocolError(
            f"The client sent a message of type {data[0]:#04x} with length {length}."
        )
    return 1 + length


class Upstream:
    """The client's side of the relay. It outlives leases: names belong to the client."""

    __slots__ = ("_portals", "_registry", "_unnamed", "closing", "ledger", "names", "pass_bytes")

    def __init__(self, ledger: Ledger, registry: Registry) -> None:
        self.ledger = ledger
        self._registry = registry
        self.names: dict[bytes, Statement] = {}
        self._unnamed: Statement | None = None
        self._portals: dict[bytes, Statement | None] = {}
        self.pass_bytes = 0
        self.closing = False

    def begin(self, prepared: Prepared) -> list[bytes]:
        """What a backend is sent first in a new lease: statements that it has too many of.

        Never later: a Close within a pipeline could reach what the pipeline still uses.
        """
        self._portals.clear()
        evicted = prepared.overflow()
        self.ledger.requests.extend(Request(CLOSE_HIDDEN) for _ in evicted)
        return [encode.close_statement(name) for name in evicted]

    def undo(self, skipped: list[Request], prepared: Prepared) -> None:
        """The server skipped these requests after an error: what they were to do is undone."""
        for request in skipped:
            statement = request.statement
            if statement is None:
                continue
            if request.kind == CLOSE:
                self.names[request.name] = statement
                continue
            if request.name and self.names.get(request.name) is statement:
                del self.names[request.name]
            if request.kind in (PARSE, PARSE_HIDDEN):
                self._forget(statement, prepared)

    def _forget(self, statement: Statement, prepared: Prepared) -> None:
        if statement.name:
            prepared.discard(statement.name)
        elif prepared.unnamed is statement:
            prepared.unnamed = None

    def forget_names(self) -> None:
        """The client ran DISCARD ALL or DEALLOCATE ALL: its names are gone."""
        self.names.clear()
        self._unnamed = None

    def forward(
        self, data: bytes, prepared: Prepared, now: float, out: list[bytes], queue_us: float = 0.0
    ) -> int:
        """Appends to `out` what the backend is to be sent; gives the bytes that were taken.

        The rest of `data` is an incomplete message. `queue_us` is charged to the first
        statement. Sets `closing` on Terminate.
        """
        ledger = self.ledger
        size = len(data)
        position = start = 0
        if self.pass_bytes:
            position = min(self.pass_bytes, size)
            self.pass_bytes -= position
        while size - position >= 5:
            kind = data[position]
            length = _length(data, position + 1)[0]
            if not 4 <= length <= MAX_MESSAGE_LENGTH:
                raise ProtocolError(
                    f"The client sent a message of type {kind:#04x} with length {length}."
                )
            end = position + 1 + length
            if end > size:
                if kind == F_COPY_DATA:
                    self.pass_bytes = end - size
                    position = size
                break
            if kind == F_QUERY:
                request = Request(QUERY, data[position + 5 : end - 1], now)
                request.queue_us, queue_us = queue_us, 0.0
                if ledger.skipping:
                    pass  # the server discards it, as it does all up to Sync
                else:
                    ledger.requests.append(request)
                    ledger.ends += 1
                    ledger.open_batch = False
                    prepared.unnamed = self._unnamed = None
            elif kind == F_SYNC:
                if not ledger.copying:
                    ledger.requests.append(SYNC_REQUEST)
                    ledger.ends += 1
                    ledger.open_batch = ledger.skipping = False
            elif kind == F_EXECUTE:
                ledger.open_batch = True
                if not ledger.skipping:
                    request = self._execute(data, position + 5, end, now)
                    request.queue_us, queue_us = queue_us, 0.0
                    ledger.requests.append(request)
            elif kind in _PASSING:
                pass
            elif kind == F_TERMINATE:
                self.closing = True
                if start < position:
                    out.append(data[start:position])
                return size
            else:
                message = self._other(kind, data, position, end, prepared, now)
                if message is not None:
                    if start < position:
                        out.append(data[start:position])
                    out.extend(message)
                    start = end
            position = end
        if start < position:
            out.append(data if start == 0 and position == size else data[start:position])
        return position

    def _execute(self, data: bytes, start: int, end: int, now: float) -> Request:
        if data[start] == 0:
            statement = self._portals.get(b"")
        else:
            statement = self._portals.get(data[start : _terminator(data, start, end)])
        return Request(EXECUTE, statement.sql if statement is not None else b"", now)

    def _other(
        self, kind: int, data: bytes, position: int, end: int, prepared: Prepared, now: float
    ) -> list[bytes] | None:
        """What to send instead of a message; None where it passes as it is."""
        ledger = self.ledger
        start = position + 5
        if kind in (F_COPY_DONE, F_COPY_FAIL):
            ledger.copying = False
            if ledger.requests:
                ledger.requests.append(Request(COPY_END))
            return None
        if kind == F_FUNCTION_CALL:
            if not ledger.skipping:
                ledger.requests.append(Request(FUNCTION, b"function call", now))
                ledger.ends += 1
            return None
        if kind not in (F_PARSE, F_BIND, F_DESCRIBE, F_CLOSE):
            raise ProtocolError(f"The client sent a message of unknown type {kind:#04x}.")
        ledger.open_batch = True
        if kind == F_PARSE:
            return self._parse(data, start, end, prepared, now)
        if kind == F_BIND:
            return self._bind(data, start, end, prepared)
        if kind == F_DESCRIBE:
            return self._describe(data, start, end, prepared)
        return self._close(data, start, end, prepared)

    def _parse(
        self, data: bytes, start: int, end: int, prepared: Prepared, now: float
    ) -> list[bytes] | None:
        name_end = _terminator(data, start, end)
        sql_end = _terminator(data, name_end + 1, end)
        name, sql, types = (
            data[start:name_end],
            data[name_end + 1 : sql_end],
            data[sql_end + 1 : end],
        )
        if not name:
            self._unnamed = prepared.unnamed = Statement(b"", sql, types)
            self._enter(Request(PARSE, sql, now, self._unnamed))
            return None
        known = self.names.get(name)
        if known is not None:
            return self._duplicate(known, prepared, now)
        statement = self._registry.statement(sql, types)
        if not self.ledger.skipping:
            self.names[name] = statement
        failed = self.ledger.status == IN_ERROR and not sql.lstrip()[:4].upper().startswith(
            _ENDS_TRANSACTION
        )
        if prepared.use(statement.name) and not failed:
            # The reply must come in its place among the others, and not at all after an
            # error: so the server is asked something harmless in its stead.
            self._enter(Request(CLOSE_AS_PARSE, b"", now, statement, name))
            return [_CLOSE_NOWHERE]
        self._enter(Request(PARSE, sql, now, statement, name))
        if not self.ledger.skipping:
            prepared.add(statement.name)
        return [statement.message]

    def _duplicate(self, known: Statement, prepared: Prepared, now: float) -> list[bytes]:
        # PostgreSQL refuses a second Parse of a name. The server itself says so, in order,
        # when it is sent a Parse of a name that it has.
        messages = self._ensure(known, prepared)
        self._enter(Request(PARSE, known.sql, now))
        return [*messages, known.message]

    def _bind(self, data: bytes, start: int, end: int, prepared: Prepared) -> list[bytes] | None:
        portal_end = _terminator(data, start, end)
        name_end = _terminator(data, portal_end + 1, end)
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
        name = data[start + 1 : _terminator(data, start + 1, end)]
        statement, messages = self._find(name, prepared)
        if not name:
            return [*messages, data[start - 5 : end]] if messages else None
        server_name = statement.name if statement is not None else _unknown(name)
        return [*messages, b"D" + _word(6 + len(server_name)) + b"S" + server_name + b"\0"]

    def _close(self, data: bytes, start: int, end: int, prepared: Prepared) -> list[bytes] | None:
        if start == end or data[start] != _STATEMENT:
            self._enter(Request(CLOSE))
            return None
        name = data[start + 1 : _terminator(data, start + 1, end)]
        if not name:
            self._enter(Request(CLOSE))
            self._unnamed = prepared.unnamed = None
            return None
        # The server's statement stays: other clients may use it.
        closed = None if self.ledger.skipping else self.names.pop(name, None)
        self._enter(Request(CLOSE, b"", 0.0, closed, name))
        return [_CLOSE_NOWHERE]

    def _find(self, name: bytes, prepared: Prepared) -> tuple[Statement | None, list[bytes]]:
        """The client's statement, and the Parse that this backend needs first, if any."""
        if name:
            statement = self.names.get(name)
            return statement, self._ensure(statement, prepared) if statement else []
        statement = self._unnamed
        if statement is None or statement is prepared.unnamed:
            return statement, []
        # Another client parsed its own unnamed statement on this backend meanwhile.
        prepared.unnamed = statement
        self._enter(Request(PARSE_HIDDEN, b"", 0.0, statement))
        return statement, [statement.message]

    def _ensure(self, statement: Statement, prepared: Prepared) -> list[bytes]:
        if prepared.use(statement.name) or self.ledger.skipping:
            return []
        self._enter(Request(PARSE_HIDDEN, b"", 0.0, statement))
        prepared.add(statement.name)
        return [statement.message]

    def _enter(self, request: Request) -> None:
        if not self.ledger.skipping:
            self.ledger.requests.append(request)


def _terminator(data: bytes, start: int, end: int) -> int:
    at = data.find(0, start, end)
    if at < 0:
        raise ProtocolError("The client sent a message whose string has no end.")
    return at


def _unknown(name: bytes) -> bytes:
    """A name that the client never prepared: the server is to refuse it by that name.

    One that looks like the gateway's own must not reach another client's statement.
    """
    return NOWHERE if name.startswith(PREFIX) else name


def is_one_request(data: bytes) -> bool:
    """Whether data is just one simple query or function call, or one batch up to its Sync."""
    position = 0
    while position < len(data):
        kind = data[position]
        position += needed(data[position : position + 5])
        if kind in (F_QUERY, F_FUNCTION_CALL, F_SYNC):
            return position == len(data)
    return False
