"""What comes from the backend to its client: bytes in, bytes out, entries of the ledger answered.

Rows pass as they came, in whole chunks. The gateway looks at the replies that end something
(CommandComplete, ReadyForQuery, errors), and hides the replies to what it sent itself.
"""

from __future__ import annotations

from struct import Struct

from dbopt.errors import ProtocolError
from dbopt.gateway.guarding import FAILING_COPY
from dbopt.gateway.hidden import Hidden
from dbopt.gateway.ledger import BLOCK_TAGS, Ledger
from dbopt.gateway.naming import FAILING_MESSAGE, FLUSH, REFUSED
from dbopt.gateway.replies import (
    KNOWN,
    PASSING,
    parameter_status,
    rows_of,
    status_of,
    unknown_reply,
)
from dbopt.gateway.request import (
    CLOSE_HIDDEN,
    EXECUTE,
    FUNCTION,
    PARSE_HIDDEN,
    QUERY,
    SYNC,
    Request,
)
from dbopt.gateway.special import End, Step, undo
from dbopt.gateway.statements import Prepared
from dbopt.gateway.transactions import Transaction
from dbopt.gateway.upstream import Upstream
from dbopt.sql.effects import Effect
from dbopt.wire import encode
from dbopt.wire.messages import BackendMessage, parse_backend
from dbopt.wire.report import ErrorResponse
from dbopt.wire.scan import messages
from dbopt.wire.types import (
    B_CLOSE_COMPLETE,
    B_COMMAND_COMPLETE,
    B_COPY_BOTH,
    B_COPY_IN,
    B_DATA_ROW,
    B_EMPTY_QUERY,
    B_ERROR,
    B_NOTICE,
    B_NOTIFICATION,
    B_PARAMETER_STATUS,
    B_PARSE_COMPLETE,
    B_PORTAL_SUSPENDED,
    B_READY_FOR_QUERY,
    IDLE,
    MAX_MESSAGE_LENGTH,
)

__all__ = ["Downstream", "rows_of"]

_length = Struct("!i").unpack_from
_ENDS = frozenset((b"COMMIT\0", b"ROLLBACK\0"))
_FORGETTING = frozenset((b"DISCARD ALL\0", b"DEALLOCATE ALL\0", b"RESET\0"))
_CANCELLED = "57014"
_OUTDATED = "0A000"
_REVALIDATION = b"RevalidateCachedQuery"
"""Where PostgreSQL says `cached plan must not change result type`."""
_ENDS_WELL = frozenset(
    (B_COMMAND_COMPLETE, B_EMPTY_QUERY, B_PORTAL_SUSPENDED, B_COPY_IN, B_READY_FOR_QUERY)
)
_FAILING = {B_READY_FOR_QUERY: encode.query(REFUSED), B_COPY_IN: FAILING_COPY}
_FATAL = frozenset(("FATAL", "PANIC"))


class Downstream(Hidden):
    """The server's side of one backend's relay.

    After `receive`: `fatal` holds the SQLSTATE with which the server ended the connection,
    `settings` the ParameterStatus that arrived. Replies to what the gateway itself sent are
    swallowed up to their ReadyForQuery: `refused` is the error with which the server refused
    the client's settings, `probed` the rows of a probe (None while there are none to read).
    `reset` tells that the client ran RESET or DISCARD ALL, `reset_all` that it was of all
    settings, and `reset_over` that all it changed has been reported: who has read `settings` then
    calls `reset_read`. `failed`: something did since the last transaction was over. `late`: the
    request whose rows are counted has ended well, although they are too many, and fails if the
    server is sent this.
    """

    __slots__ = (
        "_drop_bytes", "_pass_bytes", "_rest", "failed", "late", "partial", "reset",
        "reset_all", "reset_over",
    )  # fmt: skip

    def __init__(self) -> None:
        super().__init__()
        self._rest = b""
        self._pass_bytes = self._drop_bytes = 0
        self.late = b""
        self.partial = False
        self.failed = False
        self.reset = self.reset_all = self.reset_over = False

    @property
    def at_boundary(self) -> bool:
        """Whether the client has been given whole messages alone."""
        return self._pass_bytes == 0

    def reset_read(self) -> None:
        """What a RESET led to is known."""
        self.reset = self.reset_all = self.reset_over = False

    def forget(self) -> None:
        """The backend goes to another client: what was observed of this one is none of its."""
        self.reset_read()
        self.settings.clear()
        self.probed = None
        self.failed = False

    def idle(self, data: bytes) -> list[BackendMessage]:
        """The messages that came while no client had the backend."""
        data = self._rest + data
        found: list[BackendMessage] = []
        position = 0
        for kind, start, end in messages(data):
            found.append(parse_backend(kind, data[start + 5 : end]))
            position = end
        self._rest = data[position:]
        self.partial = bool(self._rest)
        return found

    def receive(
        self, data: bytes, upstream: Upstream, prepared: Prepared, now: float, out: list[bytes]
    ) -> None:
        """Appends to `out` what the client is to be sent."""
        if self._rest:
            data = self._rest + data
            self._rest = b""
        ledger = upstream.ledger
        limited = ledger.limited
        base = ledger.taken
        if not ledger.first_byte:
            ledger.first_byte = now
        size = len(data)
        start = self._drop_bytes
        position = self._pass_bytes or start
        if position >= size:
            self._pass(data, start, position, ledger, out)
            return
        if ledger.hides():
            start = position = self._hide(data, position, upstream, prepared, now, out)
        while size - position >= 5 and not ledger.hides():
            kind = data[position]
            end = position + 1 + _length(data, position + 1)[0]
            if not position + 5 <= end <= position + 1 + MAX_MESSAGE_LENGTH:
                raise ProtocolError(f"The server sent a message of type {kind:#04x} of no length.")
            if kind in PASSING and (end <= size or ledger.requests or ledger.open_batch):
                if limited is not None and _too_many(limited, kind):
                    if start < position:
                        out.append(data[start:position])
                    start = end
                position = end  # in part too, where the rest is certain to come to this client
                continue
            if end > size:
                if kind not in KNOWN and kind not in PASSING:
                    raise unknown_reply(kind)
                break
            ledger.passed = base + end
            if limited is not None and limited.over and kind in _ENDS_WELL:
                out.append(data[start:position])
                start = end
                self.late = _failing(limited, kind)
            elif kind == B_READY_FOR_QUERY:
                self._ready(data[position + 5 : end], upstream, prepared, now)
            else:
                instead = self._other(kind, data, position, end, upstream, prepared, now)
                if instead is not None:
                    if start < position:
                        out.append(data[start:position])
                    if instead:
                        out.append(instead)
                    start = end
            position = end
            if ledger.hides():
                if start < end:
                    out.append(data[start:end])
                start = position = self._hide(data, end, upstream, prepared, now, out)
        self._pass(data, start, position, ledger, out)
        ledger.read(now)

    def _pass(
        self, data: bytes, start: int, position: int, ledger: Ledger, out: list[bytes]
    ) -> None:
        """What has been read and not been passed yet goes to the client; the rest is kept."""
        size = len(data)
        if position < size:
            self._rest = data[position:]
        self._skip(max(0, position - size), max(0, start - size))
        position = min(position, size)
        ledger.taken += position
        if start < position:
            out.append(data if start == 0 and position == size else data[start:position])

    def _skip(self, left: int, dropped: int) -> None:
        """Of the next bytes so many belong to the message before: to be passed, or dropped."""
        self._drop_bytes = left if dropped else 0
        self._pass_bytes = 0 if dropped else left
        self.partial = bool(left or self._rest)

    def _completed(
        self, data: bytes, position: int, end: int, upstream: Upstream, prepared: Prepared,
        now: float,
    ) -> bytes | None:  # fmt: skip
        ledger = upstream.ledger
        head = ledger.head()
        if head is None:
            raise ProtocolError("The server completed a command that nobody sent.")
        tag = data[position + 5 : end]
        head.rows += rows_of(tag)
        instead = None
        steps: list[Step] = []
        if head.work is not None:
            steps, told = head.work.completed()
            upstream.happened += steps
            upstream.unsettled = True
            if told is not None:
                instead = encode.command_complete(told)
        if tag in BLOCK_TAGS and not any(s.entry.kind is Effect.ROLLBACK_TO for s in steps):
            ledger.mark_block(tag, head, now)
            if tag in _ENDS and upstream.unsettled:
                self._transaction_ended(tag, upstream)
        if tag in _FORGETTING:
            if tag != b"DEALLOCATE ALL\0":
                self.reset, self.reset_over = True, False
                # RESET of one setting, or of the role, has the same tag as of all.
                all_of_them = not steps or any(step.entry.every for step in steps)
                self.reset_all = self.reset_all or all_of_them
            if tag != b"RESET\0" and head.work is None:
                prepared.clear()
                upstream.forget_names()
        if head.kind == EXECUTE:
            ledger.complete(now)
        elif head.kind != QUERY:
            raise ProtocolError("The server completed a command that nobody sent.")
        return instead

    def _transaction_ended(self, tag: bytes, upstream: Upstream) -> None:
        """A COMMIT or ROLLBACK: of the session's state, what came before it is decided."""
        upstream.happened.append(End(tag == b"COMMIT\0", explicit=True))
        upstream.unsettled = self.failed = False

    def _ready(self, payload: bytes, upstream: Upstream, prepared: Prepared, now: float) -> None:
        ledger = upstream.ledger
        status = status_of(payload)
        requests = ledger.requests
        while requests:
            request = requests.popleft()
            if request.keys:
                ledger.leave(request)
            if request.kind >= QUERY:
                ledger.ends -= 1
                if request.kind in (QUERY, FUNCTION):
                    ledger.finish(request, now)
                    if request.work is not None:
                        undo(request.work, upstream.names, prepared)
                elif request.kind == SYNC:
                    ledger.synced()
                break
        else:
            raise ProtocolError("The server is ready for a query that nobody sent.")
        self.reset_over = self.reset
        ledger.head()  # drops the end of a COPY that had failed before it
        ledger.copying = False
        if status == IDLE:
            ledger.transactions += 1
            ledger.began = now  # of a batch that is open already
            if upstream.unsettled:
                upstream.happened.append(End(not self.failed, explicit=False))
                upstream.unsettled = False
            self.failed = False
            if ledger.block is not None:
                ledger.end_block(now, failed=True)  # no tag has told of it: its COMMIT has failed
        else:
            if ledger.status == IDLE:
                ledger.began = now
            if ledger.block is None:
                ledger.block = Transaction(ledger.scope, now)  # AND CHAIN has begun it
        ledger.last_done = now
        ledger.status = status

    def _other(
        self, kind: int, data: bytes, position: int, end: int, upstream: Upstream,
        prepared: Prepared, now: float,
    ) -> bytes | None:  # fmt: skip
        """What the client gets instead of a reply (b"" for nothing); None where it passes."""
        ledger = upstream.ledger
        if kind == B_COMMAND_COMPLETE:
            return self._completed(data, position, end, upstream, prepared, now)
        if kind == B_PARSE_COMPLETE:
            return b"" if self._pop(ledger).kind == PARSE_HIDDEN else None
        if kind == B_CLOSE_COMPLETE:
            return b"" if self._pop(ledger).kind == CLOSE_HIDDEN else None
        if kind in (B_EMPTY_QUERY, B_PORTAL_SUSPENDED):
            head = ledger.head()
            if head is not None and head.kind == EXECUTE:
                ledger.complete(now)
        elif kind == B_ERROR:
            return self._error(data[position + 5 : end], upstream, prepared, now)
        elif kind == B_COPY_IN:
            ledger.copy_in_started()
        elif kind == B_PARAMETER_STATUS:
            self.settings.append(parameter_status(data[position + 5 : end]))
        elif kind == B_NOTIFICATION:
            # Of a shared backend nobody knows who listened there: the shared listener tells.
            return b"" if upstream.shared_listen else None
        elif kind == B_COPY_BOTH:
            raise ProtocolError("The server began a replication stream.")
        else:
            raise unknown_reply(kind)
        return None

    def _pop(self, ledger: Ledger) -> Request:
        head = ledger.head()
        if head is None or head.kind >= EXECUTE:
            raise ProtocolError("The server answered a Parse or Close that nobody sent.")
        ledger.requests.popleft()
        if head.keys:
            ledger.leave(head)
        return head

    def _error(
        self, payload: bytes, upstream: Upstream, prepared: Prepared, now: float
    ) -> bytes | None:
        """What the client is told instead; None where it is told just this."""
        error = ErrorResponse.parse(payload)
        ledger = upstream.ledger
        self._note_fatal(error)
        if self.fatal:
            # The connection ends now: the client is told once, when it has ended.
            return b""
        self.failed = True
        head = ledger.head()
        refusal = head.refusal if head is not None else b""
        if head is not None:
            head.over = False  # it has failed, as it should
        if error.sqlstate == _CANCELLED and ledger.verdict is not None:
            refusal = encode.error_response(ledger.verdict)
            ledger.verdict = None
        told = head.sqlstate if head is not None and head.refusal else error.sqlstate
        skipped = ledger.fail(told, now)
        if error.sqlstate == _OUTDATED and error.fields.get("R") == _REVALIDATION:
            upstream.outdate(head, skipped, prepared)
        if head is not None and head.work is not None:
            upstream.happened += head.work.outlasting()
        upstream.undo(skipped, prepared)
        return refusal or upstream.in_clients_words(error, head)


def _too_many(limited: Request, kind: int) -> bool:
    """Whether a reply is more than the client may have: a row too many, or what follows it."""
    if kind == B_DATA_ROW:
        limited.returned += 1
        limited.over = limited.returned > limited.max_rows
    return limited.over and kind != B_NOTICE


def _failing(limited: Request, kind: int) -> bytes:
    """What the server is to be sent after this reply, so that the request fails; b"" for nothing.

    A Query with several statements goes on after the first.
    """
    if limited.kind == EXECUTE:
        return FAILING_MESSAGE + FLUSH
    return _FAILING.get(kind, b"")
