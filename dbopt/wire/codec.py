"""Decoder: bytes in, messages out, in whatever pieces the bytes come.

Sans-I/O, after h11: feed it with `receive_data` and, at the end, `receive_eof`; then take
`next_event` until it gives None. A length is judged as soon as its header is there, so a
message that is too long is refused before its body is buffered.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import Final, Generic, TypeVar

from dbopt.errors import ProtocolError
from dbopt.wire import types
from dbopt.wire.messages import (
    BackendMessage,
    CancelRequest,
    FirstPacket,
    FrontendMessage,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    parse_backend,
    parse_frontend,
    parse_startup,
)

T_co = TypeVar("T_co", covariant=True)

_LENGTH_WORD: Final = 4


class Decoder(Generic[T_co]):
    """What both directions share: a buffer that starts at the next message."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._eof = False

    @property
    def buffered(self) -> int:
        """How many bytes wait. More than none after an SSLRequest is an attack if TLS follows
        (CVE-2021-23214, CVE-2021-3935): they came unencrypted.
        """
        return len(self._buffer)

    def take_rest(self) -> bytes:
        """What waits, for whoever reads the stream from here on; nothing waits any more."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest

    def receive_data(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes in. Raises ProtocolError if the end was already received."""
        if self._eof:
            raise ProtocolError("data after the end of the stream")
        self._buffer += data

    def receive_eof(self) -> None:
        """The peer sends no more. If it stopped inside a message, `next_event` raises."""
        self._eof = True

    def next_event(self) -> T_co | None:
        """The next message; None if it is not complete yet, or there is none at the end.

        Raises ProtocolError for a malformed message, one that is too long, and an end inside
        a message. The stream cannot be read on after that.
        """
        raise NotImplementedError

    def __iter__(self) -> Iterator[T_co]:
        while (event := self.next_event()) is not None:
            yield event

    def _payload(self, header: int, limit: int, what: str) -> bytes | None:
        """The payload behind `header` bytes, the last four of which are the length word."""
        length = int.from_bytes(self._buffer[header - _LENGTH_WORD : header]) - _LENGTH_WORD
        if not 0 <= length <= limit:
            raise ProtocolError(f"{what}: length {length} is not in 0 to {limit}")
        if len(self._buffer) < header + length:
            self._check_not_cut(what)
            return None
        payload = bytes(self._buffer[header : header + length])
        del self._buffer[: header + length]  # moves the start only, not the rest
        return payload

    def _check_not_cut(self, what: str) -> None:
        if self._eof and self.buffered:
            raise ProtocolError(f"{what}: the stream ended inside it")


class BackendDecoder(Decoder[BackendMessage]):
    """Reads what a server sends, from Authentication on (not the one-byte answer to SSLRequest)."""

    def next_event(self) -> BackendMessage | None:
        """See `Decoder.next_event`."""
        if self.buffered < 1 + _LENGTH_WORD:
            self._check_not_cut("backend message")
            return None
        type_ = self._buffer[0]
        what = f"backend message type {type_}"
        payload = self._payload(1 + _LENGTH_WORD, types.max_backend_length(type_), what)
        return None if payload is None else parse_backend(type_, payload)


class _Phase(Enum):
    STARTUP = auto()
    AUTHENTICATION = auto()
    OPEN = auto()
    CANCELLED = auto()


class FrontendDecoder(Decoder[FirstPacket | FrontendMessage]):
    """Reads what a client sends, from its first packet on.

    Until `authenticated` is called a message may have MAX_AUTH_LENGTH bytes at most: who has
    not logged in fills no memory.
    """

    def __init__(self) -> None:
        super().__init__()
        self._phase = _Phase.STARTUP
        self._asked: set[type[SSLRequest | GSSENCRequest]] = set()

    def authenticated(self) -> None:
        """The client has logged in: from now on messages may be long."""
        self._phase = _Phase.OPEN

    def next_event(self) -> FirstPacket | FrontendMessage | None:
        """See `Decoder.next_event`."""
        if self._phase is _Phase.STARTUP:
            return self._next_startup()
        if self._phase is _Phase.CANCELLED and self.buffered:
            raise ProtocolError("data after a CancelRequest")
        return self._next_message()

    def _next_message(self) -> FrontendMessage | None:
        if self.buffered < 1 + _LENGTH_WORD:
            self._check_not_cut("frontend message")
            return None
        type_ = self._buffer[0]
        payload = self._payload(
            1 + _LENGTH_WORD, self._limit(type_), f"frontend message type {type_}"
        )
        return None if payload is None else parse_frontend(type_, payload)

    def _next_startup(self) -> FirstPacket | None:
        if self.buffered < _LENGTH_WORD:
            self._check_not_cut("startup packet")
            return None
        payload = self._payload(_LENGTH_WORD, types.MAX_STARTUP_LENGTH, "startup packet")
        if payload is None:
            return None
        packet = parse_startup(payload)
        self._advance(packet)
        return packet

    def _advance(self, packet: FirstPacket) -> None:
        match packet:
            case StartupMessage():
                self._phase = _Phase.AUTHENTICATION
            case CancelRequest():
                self._phase = _Phase.CANCELLED
            case SSLRequest() | GSSENCRequest():
                # PostgreSQL takes each request once (ProcessStartupPacket): no endless loop.
                if type(packet) in self._asked:
                    raise ProtocolError(f"a second {type(packet).__name__}")
                self._asked.add(type(packet))

    def _limit(self, type_: int) -> int:
        limit = types.max_frontend_length(type_)
        return limit if self._phase is _Phase.OPEN else min(limit, types.MAX_AUTH_LENGTH)
