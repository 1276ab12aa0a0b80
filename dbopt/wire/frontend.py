"""What a client sends once the startup packet is through.

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from dbopt.errors import ProtocolError
from dbopt.wire import buffer, types
from dbopt.wire.authentication import AuthenticationResponse
from dbopt.wire.buffer import Reader
from dbopt.wire.message import Message

STATEMENT: Final = 0x53  # S
PORTAL: Final = 0x50  # P


@dataclass(frozen=True, slots=True)
class Query(Message):
    """Run this text with the simple protocol."""

    TYPE: ClassVar[int] = types.F_QUERY
    text: bytes

    def _payload(self) -> bytes:
        return buffer.cstring(self.text)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.cstring())


@dataclass(frozen=True, slots=True)
class Parse(Message):
    """Prepare a statement; b"" is the unnamed one. `oids` may be shorter than the parameters."""

    TYPE: ClassVar[int] = types.F_PARSE
    name: bytes
    sql: bytes
    oids: tuple[int, ...] = ()

    def _payload(self) -> bytes:
        strings = buffer.cstring(self.name) + buffer.cstring(self.sql)
        return strings + buffer.uint32s(self.oids)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.cstring(), reader.cstring(), reader.uint32s())


@dataclass(frozen=True, slots=True)
class Bind(Message):
    """Make a portal of a statement and its values. Formats: 0 text, 1 binary; one may serve all."""

    TYPE: ClassVar[int] = types.F_BIND
    portal: bytes
    statement: bytes
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = field(default=(), repr=False)  # they are literals
    result_formats: tuple[int, ...] = ()

    def _payload(self) -> bytes:
        names = buffer.cstring(self.portal) + buffer.cstring(self.statement)
        body = buffer.int16s(self.formats) + buffer.values(self.values)
        return names + body + buffer.int16s(self.result_formats)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        names = reader.cstring(), reader.cstring()
        return cls(*names, reader.int16s(), reader.values(), reader.int16s())


@dataclass(frozen=True, slots=True)
class Execute(Message):
    """Run a portal; `max_rows` 0 is without limit."""

    TYPE: ClassVar[int] = types.F_EXECUTE
    portal: bytes
    max_rows: int = 0

    def _payload(self) -> bytes:
        return buffer.cstring(self.portal) + buffer.pack("i", self.max_rows)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.cstring(), reader.int32())


@dataclass(frozen=True, slots=True)
class Describe(Message):
    """Ask for the shape of a STATEMENT or PORTAL."""

    TYPE: ClassVar[int] = types.F_DESCRIBE
    kind: int
    name: bytes

    def _payload(self) -> bytes:
        return _target(self.kind, self.name)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(_kind(reader), reader.cstring())


@dataclass(frozen=True, slots=True)
class Close(Message):
    """Forget a STATEMENT or PORTAL; it is no error if there is none."""

    TYPE: ClassVar[int] = types.F_CLOSE
    kind: int
    name: bytes

    def _payload(self) -> bytes:
        return _target(self.kind, self.name)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(_kind(reader), reader.cstring())


@dataclass(frozen=True, slots=True)
class Sync(Message):
    """End of a batch: the server answers ReadyForQuery."""

    TYPE: ClassVar[int] = types.F_SYNC


@dataclass(frozen=True, slots=True)
class Flush(Message):
    """Send what is ready; no ReadyForQuery follows."""

    TYPE: ClassVar[int] = types.F_FLUSH


@dataclass(frozen=True, slots=True)
class Terminate(Message):
    """Goodbye."""

    TYPE: ClassVar[int] = types.F_TERMINATE


@dataclass(frozen=True, slots=True)
class CopyData(Message):
    """A piece of a COPY, of any length; both sides send it."""

    TYPE: ClassVar[int] = types.F_COPY_DATA
    data: bytes = field(repr=False)

    def _payload(self) -> bytes:
        return self.data

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.rest())


@dataclass(frozen=True, slots=True)
class CopyDone(Message):
    """The COPY is complete; both sides send it."""

    TYPE: ClassVar[int] = types.F_COPY_DONE


@dataclass(frozen=True, slots=True)
class CopyFail(Message):
    """The client gives the COPY up, for this reason."""

    TYPE: ClassVar[int] = types.F_COPY_FAIL
    reason: bytes

    def _payload(self) -> bytes:
        return buffer.cstring(self.reason)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.cstring())


@dataclass(frozen=True, slots=True)
class FunctionCall(Message):
    """Call a function by OID, the legacy way."""

    TYPE: ClassVar[int] = types.F_FUNCTION_CALL
    oid: int
    formats: tuple[int, ...] = ()
    values: tuple[bytes | None, ...] = field(default=(), repr=False)
    result_format: int = 0

    def _payload(self) -> bytes:
        arguments = buffer.int16s(self.formats) + buffer.values(self.values)
        return buffer.pack("I", self.oid) + arguments + buffer.pack("h", self.result_format)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.uint32(), reader.int16s(), reader.values(), reader.int16())


FrontendMessage = (
    Query
    | Parse
    | Bind
    | Execute
    | Describe
    | Close
    | Sync
    | Flush
    | Terminate
    | CopyData
    | CopyDone
    | CopyFail
    | FunctionCall
    | AuthenticationResponse
)

_PARSERS: Final[dict[int, Callable[[bytes], FrontendMessage]]] = {
    types.F_QUERY: Query.parse,
    types.F_PARSE: Parse.parse,
    types.F_BIND: Bind.parse,
    types.F_EXECUTE: Execute.parse,
    types.F_DESCRIBE: Describe.parse,
    types.F_CLOSE: Close.parse,
    types.F_SYNC: Sync.parse,
    types.F_FLUSH: Flush.parse,
    types.F_TERMINATE: Terminate.parse,
    types.F_COPY_DATA: CopyData.parse,
    types.F_COPY_DONE: CopyDone.parse,
    types.F_COPY_FAIL: CopyFail.parse,
    types.F_FUNCTION_CALL: FunctionCall.parse,
    types.F_PASSWORD: AuthenticationResponse.parse,
}


def parse_frontend(type_: int, payload: bytes) -> FrontendMessage:
    """A client's message of this type. Raises ProtocolError for an unknown or malformed one."""
    parser = _PARSERS.get(type_)
    if parser is None:
        raise ProtocolError(f"invalid frontend message type {type_}")
    return parser(payload)


def _kind(reader: Reader) -> int:
    kind = reader.byte()
    if kind not in (STATEMENT, PORTAL):
        raise reader.error(f"subtype {kind} is neither statement nor portal")
    return kind


def _target(kind: int, name: bytes) -> bytes:
    if kind not in (STATEMENT, PORTAL):
        raise ProtocolError(f"subtype {kind} is neither statement nor portal")
    return buffer.pack("B", kind) + buffer.cstring(name)
