"""Hidden: the part of Downstream for the replies to what the gateway itself has sent.

They are swallowed up to their ReadyForQuery; what matters of them is kept.
"""

from __future__ import annotations

from struct import Struct

from dbopt.errors import ProtocolError
from dbopt.gateway.ledger import Ledger
from dbopt.gateway.replies import columns_of, parameter_status, status_of
from dbopt.gateway.request import CHECK, ENSURE, PROBE, SETTINGS, Request
from dbopt.gateway.statements import Prepared
from dbopt.gateway.upstream import Upstream
from dbopt.wire.backend import DataRow
from dbopt.wire.report import ErrorResponse
from dbopt.wire.types import (
    B_DATA_ROW,
    B_ERROR,
    B_NO_DATA,
    B_NOTICE,
    B_NOTIFICATION,
    B_PARAMETER_DESCRIPTION,
    B_PARAMETER_STATUS,
    B_READY_FOR_QUERY,
    B_ROW_DESCRIPTION,
    MAX_MESSAGE_LENGTH,
)

_length = Struct("!i").unpack_from
_FATAL = frozenset(("FATAL", "PANIC"))


class Hidden:
    """See the module, and Downstream for what the attributes mean."""

    __slots__ = (
        "_parameters", "_rows", "fatal", "fatal_message", "probed", "refused", "settings",
    )  # fmt: skip

    def __init__(self) -> None:
        self._parameters = b""
        self._rows: list[tuple[bytes | None, ...]] = []
        self.fatal = ""
        self.fatal_message = ""
        self.refused: ErrorResponse | None = None
        self.probed: list[tuple[bytes | None, ...]] | None = None
        self.settings: list[tuple[str, str]] = []

    def _hide(
        self, data: bytes, position: int, upstream: Upstream, prepared: Prepared, now: float,
        out: list[bytes],
    ) -> int:  # fmt: skip
        """Swallows the replies to the gateway itself; gives how far it came."""
        ledger, shared_listen, start = upstream.ledger, upstream.shared_listen, position
        while len(data) - position >= 5 and ledger.hides():
            kind = data[position]
            end = position + 1 + _length(data, position + 1)[0]
            if not position + 5 <= end <= position + 1 + MAX_MESSAGE_LENGTH:
                raise ProtocolError(f"The server sent a message of type {kind:#04x} of no length.")
            if end > len(data):
                break
            if kind == B_PARAMETER_STATUS:
                self.settings.append(parameter_status(data[position + 5 : end]))
            elif kind == B_NOTIFICATION and not shared_listen:
                out.append(data[position:end])  # the client listens in its own session
            elif ledger.requests[0].kind == CHECK:
                out += self._checked(kind, data[position:end], upstream, prepared, now)
            elif kind == B_DATA_ROW:
                self._rows.append(DataRow.parse(data[position + 5 : end]).values)
            elif kind == B_ERROR:
                self._hidden_error(data[position + 5 : end], ledger.requests[0], prepared)
            elif kind == B_READY_FOR_QUERY:
                self._hidden_end(ledger, status_of(data[position + 5 : end]))
            position = end
        ledger.charged += position - start  # no statement of the client's is charged with it
        return position

    def _checked(
        self, kind: int, data: bytes, upstream: Upstream, prepared: Prepared, now: float
    ) -> list[bytes]:
        """A reply to the gateway's own Describe; what of it the client is told."""
        if kind == B_PARAMETER_DESCRIPTION:
            self._parameters = data
        elif kind in (B_ROW_DESCRIPTION, B_NO_DATA):
            columns = columns_of(data[5:]) if kind == B_ROW_DESCRIPTION else b""
            head = upstream.ledger.requests.popleft()
            upstream.ledger.leave(head)
            upstream.described(head, self._parameters + columns, prepared)
        elif kind == B_ERROR:  # in a batch of the client's
            instead = self._error(data[5:], upstream, prepared, now)
            return [data if instead is None else instead]
        elif kind == B_NOTICE:
            return [data]
        else:
            raise ProtocolError("The server did not answer a Describe.")
        return []

    def _hidden_error(self, payload: bytes, head: Request, prepared: Prepared) -> None:
        error = ErrorResponse.parse(payload)
        self._note_fatal(error)
        if head.kind == SETTINGS:
            self.refused = error
        elif head.kind == ENSURE and head.statement is not None:
            prepared.discard(head.statement.name)
        elif head.kind == PROBE:
            self._rows = [(b"unknown", b"", b"")]

    def _hidden_end(self, ledger: Ledger, status: int) -> None:
        if ledger.requests.popleft().kind == PROBE:
            self.probed = self._rows
        self._rows = []
        ledger.ends -= 1
        ledger.status = status

    def _note_fatal(self, error: ErrorResponse) -> None:
        if error.severity in _FATAL:
            self.fatal, self.fatal_message = error.sqlstate, error.message

    def _error(
        self, payload: bytes, upstream: Upstream, prepared: Prepared, now: float
    ) -> bytes | None:
        """What the client is told instead of an error; None where it is told just this."""
        raise NotImplementedError
