"""Reading a payload without leaving it, and writing one without lying about its length.

Every reader names the message that it reads, so that an error says where it was.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

from dbopt.errors import ProtocolError
from dbopt.wire import types

_INT32: Final = struct.Struct("!i")
_FRAME: Final = struct.Struct("!BI")

NULL_LENGTH: Final = -1
"""The length that stands for SQL NULL."""


class Reader:
    """A cursor over one message's payload. Every method raises ProtocolError at its end."""

    __slots__ = ("_end", "_name", "_payload", "_position")

    def __init__(self, name: str, payload: bytes) -> None:
        self._name = name
        self._payload = payload
        self._position = 0
        self._end = len(payload)

    @property
    def remaining(self) -> int:
        """How many bytes are left."""
        return self._end - self._position

    def error(self, what: str) -> ProtocolError:
        """The error to raise: which message, and what was wrong."""
        return ProtocolError(f"malformed {self._name}: {what}")

    def take(self, length: int) -> bytes:
        """The next `length` bytes."""
        if not 0 <= length <= self.remaining:
            raise self.error(f"{length} bytes expected, {self.remaining} left")
        start = self._position
        self._position = start + length
        return self._payload[start : self._position]

    def rest(self) -> bytes:
        """Everything that is left."""
        return self.take(self.remaining)

    def byte(self) -> int:
        """An unsigned byte."""
        return self.take(1)[0]

    def uint16(self) -> int:
        """An unsigned 16-bit number; the protocol's counts go up to 65535."""
        return int.from_bytes(self.take(2))

    def int16(self) -> int:
        """A signed 16-bit number."""
        return int.from_bytes(self.take(2), signed=True)

    def uint32(self) -> int:
        """An unsigned 32-bit number, such as an OID."""
        return int.from_bytes(self.take(4))

    def int32(self) -> int:
        """A signed 32-bit number."""
        return int.from_bytes(self.take(4), signed=True)

    def cstring(self) -> bytes:
        """Bytes up to a zero byte, which is read but not returned."""
        end = self._payload.find(b"\0", self._position)
        if end < 0:
            raise self.error("a string has no terminator")
        value = self._payload[self._position : end]
        self._position = end + 1
        return value

    def text(self) -> str:
        """A zero-terminated string as str; see `decode`."""
        return decode(self.cstring())

    def value(self) -> bytes | None:
        """A value behind its 32-bit length; None is SQL NULL."""
        length = self.int32()
        if length == NULL_LENGTH:
            return None
        return self.take(length)

    def values(self) -> tuple[bytes | None, ...]:
        """A 16-bit count and that many values."""
        return tuple(self.value() for _ in range(self.uint16()))

    def int16s(self) -> tuple[int, ...]:
        """A 16-bit count and that many signed 16-bit numbers."""
        return tuple(self.int16() for _ in range(self.uint16()))

    def uint32s(self) -> tuple[int, ...]:
        """A 16-bit count and that many unsigned 32-bit numbers."""
        return tuple(self.uint32() for _ in range(self.uint16()))

    def end(self) -> None:
        """Check that nothing is left."""
        if self.remaining:
            raise self.error(f"{self.remaining} bytes too many")


def decode(data: bytes) -> str:
    """Bytes as str, whatever they are: what is not UTF-8 survives as lone surrogates."""
    return data.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """The bytes that `decode` read. Raises ProtocolError for a surrogate that it never makes."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ProtocolError("a text holds a surrogate that stands for no byte") from None


def cstring(data: bytes) -> bytes:
    """`data` with its terminator. Raises ProtocolError if it holds a zero byte.

    A zero byte would end the string early and let the rest be read as other fields.
    """
    if b"\0" in data:
        raise ProtocolError("a string holds a zero byte, which the protocol cannot carry")
    return data + b"\0"


def text(value: str) -> bytes:
    """A str as a zero-terminated string."""
    return cstring(encode(value))


def pack(format_: str, *numbers: int) -> bytes:
    """`struct.pack` in network order. Raises ProtocolError for a number out of range."""
    try:
        return struct.pack("!" + format_, *numbers)
    except struct.error as error:
        raise ProtocolError(f"a number does not fit its field: {error}") from None


def value(data: bytes | None) -> bytes:
    """A value behind its length; None is SQL NULL."""
    if data is None:
        return _INT32.pack(NULL_LENGTH)
    return pack("i", len(data)) + data


def values(items: tuple[bytes | None, ...]) -> bytes:
    """A 16-bit count and that many values."""
    return pack("H", len(items)) + b"".join(map(value, items))


def int16s(numbers: tuple[int, ...]) -> bytes:
    """A 16-bit count and that many signed 16-bit numbers."""
    return pack(f"H{len(numbers)}h", len(numbers), *numbers)


def uint32s(numbers: tuple[int, ...]) -> bytes:
    """A 16-bit count and that many unsigned 32-bit numbers."""
    return pack(f"H{len(numbers)}I", len(numbers), *numbers)


def texts(items: Iterable[str]) -> bytes:
    """Zero-terminated strings one after another."""
    return b"".join(map(text, items))


def cancel_key(secret: bytes) -> bytes:
    """`secret`, if its length is one that protocol 3.2 allows; else raises ProtocolError."""
    if not types.MIN_CANCEL_KEY <= len(secret) <= types.MAX_CANCEL_KEY:
        raise ProtocolError(
            f"a cancel key of {len(secret)} bytes; "
            f"it must have {types.MIN_CANCEL_KEY} to {types.MAX_CANCEL_KEY}"
        )
    return secret


def frame(type_: int, payload: bytes) -> bytes:
    """A whole message: type, length (its own four bytes included), payload."""
    return _FRAME.pack(type_, len(payload) + 4) + payload


def untyped_frame(payload: bytes) -> bytes:
    """A packet of the startup phase: length (its own four bytes included), payload."""
    return _INT32.pack(len(payload) + 4) + payload
