"""What a server reports: errors, notices, notifications.

A server may be hostile or broken, so a field may be missing or be no text (CVE-2026-6666 was
an error without SQLSTATE): the properties always answer.

Source: https://www.postgresql.org/docs/current/protocol-error-fields.html
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Final, Self

from dbopt.errors import ProtocolError
from dbopt.wire import buffer, types
from dbopt.wire.buffer import Reader
from dbopt.wire.message import Message
from dbopt.wire.sqlstate import SqlState

SEVERITIES: Final = frozenset(
    {"ERROR", "FATAL", "PANIC", "WARNING", "NOTICE", "DEBUG", "INFO", "LOG"}
)

_SQLSTATE: Final = re.compile(rb"[0-9A-Z]{5}")


@dataclass(frozen=True, slots=True)
class _Report(Message):
    """Fields by their one-letter code, in the order in which they came."""

    fields: dict[str, bytes]

    DEFAULT_SEVERITY: ClassVar[str] = "ERROR"

    @property
    def sqlstate(self) -> str:
        """Five characters; XX000 (internal error) where the server sent none or no such thing."""
        code = self.fields.get("C", b"")
        return code.decode("ascii") if _SQLSTATE.fullmatch(code) else SqlState.INTERNAL_ERROR

    @property
    def severity(self) -> str:
        """One of SEVERITIES: never translated, never what a server made up."""
        for code in "VS":
            severity = self.fields.get(code, b"").decode("latin-1")
            if severity in SEVERITIES:
                return severity
        return self.DEFAULT_SEVERITY

    @property
    def message(self) -> str:
        """The primary message as text; bytes that are not UTF-8 are replaced.

        It may quote the statement's literals: redact it before it is logged.
        """
        return self.fields.get("M", b"").decode("utf-8", "replace")

    def _payload(self) -> bytes:
        return b"".join(_field(*item) for item in self.fields.items()) + b"\0"

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        fields = {}
        while code := reader.byte():
            fields[chr(code)] = reader.cstring()
        return cls(fields)


@dataclass(frozen=True, slots=True)
class ErrorResponse(_Report):
    """Something failed."""

    TYPE: ClassVar[int] = types.B_ERROR


@dataclass(frozen=True, slots=True)
class NoticeResponse(_Report):
    """Something to know; it may come at any time."""

    TYPE: ClassVar[int] = types.B_NOTICE
    DEFAULT_SEVERITY: ClassVar[str] = "NOTICE"


@dataclass(frozen=True, slots=True)
class NotificationResponse(Message):
    """A NOTIFY of the backend `pid`; it may come at any time."""

    TYPE: ClassVar[int] = types.B_NOTIFICATION
    pid: int
    channel: bytes
    payload: bytes = b""

    def _payload(self) -> bytes:
        strings = buffer.cstring(self.channel) + buffer.cstring(self.payload)
        return buffer.pack("i", self.pid) + strings

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.int32(), reader.cstring(), reader.cstring())


def _field(code: str, value: bytes) -> bytes:
    if len(code) != 1 or not 0 < ord(code) < 256:
        raise ProtocolError("the code of an error field is one byte and not zero")
    return code.encode("latin-1") + buffer.cstring(value)
