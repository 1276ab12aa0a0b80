"""The packets that open a connection. They have a length but no type.

Source: https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP and
PostgreSQL's ProcessStartupPacket (backend_startup.c).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Self

from dbopt.errors import ProtocolError, UnsupportedProtocol
from dbopt.wire import buffer, types
from dbopt.wire.buffer import Reader
from dbopt.wire.message import Message

PROTOCOL_OPTION: Final = "_pq_."
"""The prefix of a parameter that is an option of the protocol, not of the session."""

_MAJOR: Final = 3


class StartupPacket(Message):
    """A packet without a type."""

    __slots__ = ()

    def encode(self) -> bytes:
        """The whole packet with its length."""
        return buffer.untyped_frame(self._payload())


@dataclass(frozen=True, slots=True)
class StartupMessage(StartupPacket):
    """Who connects to which database, and with which settings.

    `parameters` keeps the order; of a name that comes twice the last value counts, as in
    PostgreSQL. It always is at least {}; whether a user is named is for the caller to check.
    """

    parameters: dict[str, str]
    protocol: int = types.PROTOCOL_3_0

    @property
    def user(self) -> str:
        """The user, or "" where none is named."""
        return self.parameters.get("user", "")

    @property
    def database(self) -> str:
        """The database, which is the user's name where none is named."""
        return self.parameters.get("database") or self.user

    @property
    def minor(self) -> int:
        """The minor protocol version asked for."""
        return self.protocol & 0xFFFF

    @property
    def protocol_options(self) -> tuple[str, ...]:
        """The names of the protocol options, for NegotiateProtocolVersion."""
        return tuple(name for name in self.parameters if name.startswith(PROTOCOL_OPTION))

    def _payload(self) -> bytes:
        pairs = b"".join(_pair(name, value) for name, value in self.parameters.items())
        return buffer.pack("I", self.protocol) + pairs + b"\0"

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        protocol = reader.uint32()
        if protocol >> 16 != _MAJOR:
            major, minor = protocol >> 16, protocol & 0xFFFF
            raise UnsupportedProtocol(
                f"unsupported frontend protocol {major}.{minor}: 3.0 to 3.2 are supported", major
            )
        parameters = {}
        while name := reader.text():
            parameters[name] = reader.text()
        return cls(parameters, protocol)


@dataclass(frozen=True, slots=True)
class SSLRequest(StartupPacket):
    """May this connection be TLS? The answer is one byte, S or N."""

    def _payload(self) -> bytes:
        return buffer.pack("I", types.SSL_REQUEST)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        _expect_code(reader, types.SSL_REQUEST)
        return cls()


@dataclass(frozen=True, slots=True)
class GSSENCRequest(StartupPacket):
    """May this connection be encrypted with GSSAPI? The answer is one byte, G or N."""

    def _payload(self) -> bytes:
        return buffer.pack("I", types.GSSENC_REQUEST)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        _expect_code(reader, types.GSSENC_REQUEST)
        return cls()


@dataclass(frozen=True, slots=True)
class CancelRequest(StartupPacket):
    """Cancel what the backend with this process id does, if it has this key (4 to 256 bytes)."""

    pid: int
    secret: bytes

    def __repr__(self) -> str:
        return f"CancelRequest(pid={self.pid})"  # whoever holds the key can cancel

    def _payload(self) -> bytes:
        return buffer.pack("Ii", types.CANCEL_REQUEST, self.pid) + buffer.cancel_key(self.secret)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        _expect_code(reader, types.CANCEL_REQUEST)
        return cls(reader.int32(), buffer.cancel_key(reader.rest()))


FirstPacket = StartupMessage | SSLRequest | GSSENCRequest | CancelRequest

_BY_CODE: Final[dict[int, Callable[[bytes], FirstPacket]]] = {
    types.SSL_REQUEST: SSLRequest.parse,
    types.GSSENC_REQUEST: GSSENCRequest.parse,
    types.CANCEL_REQUEST: CancelRequest.parse,
}
_CACHED: Final = 512
"""Bytes of the longest packet that is remembered: clients can fill no more than 64 KiB so."""


def parse_startup(payload: bytes) -> FirstPacket:
    """The packet whose payload (what follows the length word) this is.

    Raises ProtocolError for a payload that is none, and for a protocol other than 3.x. Equal
    payloads may give the same message: its `parameters` are not to be changed.
    """
    code = int.from_bytes(payload[:4]) if len(payload) >= 4 else 0
    if code == types.CANCEL_REQUEST or len(payload) > _CACHED:  # a key is kept nowhere
        return _BY_CODE.get(code, StartupMessage.parse)(payload)
    return _remembered(payload)


@lru_cache(maxsize=128)  # an application's connections all begin with the same bytes
def _remembered(payload: bytes) -> FirstPacket:
    code = int.from_bytes(payload[:4]) if len(payload) >= 4 else 0
    return _BY_CODE.get(code, StartupMessage.parse)(payload)


def _pair(name: str, value: str) -> bytes:
    if not name:
        raise ProtocolError("a startup parameter has no name")
    return buffer.text(name) + buffer.text(value)


def _expect_code(reader: Reader, code: int) -> None:
    if reader.uint32() != code:
        raise reader.error("another request code")
