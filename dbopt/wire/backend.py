"""What a server sends, but for authentication and the messages that report (see there).

Source: https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Final, Self

from dbopt.errors import ProtocolError
from dbopt.wire import buffer, types
from dbopt.wire.buffer import Reader
from dbopt.wire.message import Message

STATUSES: Final = frozenset({types.IDLE, types.IN_TRANSACTION, types.IN_ERROR})


@dataclass(frozen=True, slots=True)
class ParameterStatus(Message):
    """The server's value of a setting that it reports."""

    TYPE: ClassVar[int] = types.B_PARAMETER_STATUS
    name: str
    value: str

    def _payload(self) -> bytes:
        return buffer.text(self.name) + buffer.text(self.value)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.text(), reader.text())


@dataclass(frozen=True, slots=True)
class BackendKeyData(Message):
    """What a CancelRequest must show; the key has 4 bytes, or up to 256 from protocol 3.2 on."""

    TYPE: ClassVar[int] = types.B_BACKEND_KEY_DATA
    pid: int
    secret: bytes = field(repr=False)

    def _payload(self) -> bytes:
        return buffer.pack("i", self.pid) + buffer.cancel_key(self.secret)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.int32(), buffer.cancel_key(reader.rest()))


@dataclass(frozen=True, slots=True)
class NegotiateProtocolVersion(Message):
    """The newest protocol that the server speaks, and the protocol options it does not know.

    `protocol` is the whole number, as servers send and libpq reads it; the documentation
    speaks of the minor version only.
    """

    TYPE: ClassVar[int] = types.B_NEGOTIATE
    protocol: int
    unrecognised: tuple[str, ...] = ()

    @property
    def minor(self) -> int:
        """The minor protocol version."""
        return self.protocol & 0xFFFF

    def _payload(self) -> bytes:
        head = buffer.pack("II", self.protocol, len(self.unrecognised))
        return head + buffer.texts(self.unrecognised)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        protocol, count = reader.uint32(), reader.uint32()
        if count > reader.remaining:  # each name takes a byte at least
            raise reader.error(f"{count} options in {reader.remaining} bytes")
        return cls(protocol, tuple(reader.text() for _ in range(count)))


@dataclass(frozen=True, slots=True)
class ReadyForQuery(Message):
    """The batch is over; `status` is IDLE, IN_TRANSACTION or IN_ERROR."""

    TYPE: ClassVar[int] = types.B_READY_FOR_QUERY
    status: int

    def _payload(self) -> bytes:
        if self.status not in STATUSES:
            raise ProtocolError(f"transaction status {self.status} is not one")
        return buffer.pack("B", self.status)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        status = reader.byte()
        if status not in STATUSES:
            raise reader.error(f"transaction status {status} is not one")
        return cls(status)


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a RowDescription; table and attribute are 0 where it is computed."""

    name: bytes
    table_oid: int
    attribute: int
    type_oid: int
    type_size: int
    type_modifier: int
    format: int

    def encode(self) -> bytes:
        """The column's part of the payload."""
        numbers = (self.table_oid, self.attribute, self.type_oid)
        rest = (self.type_size, self.type_modifier, self.format)
        return buffer.cstring(self.name) + buffer.pack("IhIhih", *numbers, *rest)

    @classmethod
    def read(cls, reader: Reader) -> Column:
        """The column that the reader is at."""
        source = reader.cstring(), reader.uint32(), reader.int16()
        return cls(*source, reader.uint32(), reader.int16(), reader.int32(), reader.int16())


@dataclass(frozen=True, slots=True)
class RowDescription(Message):
    """The columns of the rows that follow."""

    TYPE: ClassVar[int] = types.B_ROW_DESCRIPTION
    columns: tuple[Column, ...]

    def _payload(self) -> bytes:
        count = buffer.pack("H", len(self.columns))
        return count + b"".join(column.encode() for column in self.columns)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(tuple(Column.read(reader) for _ in range(reader.uint16())))


@dataclass(frozen=True, slots=True)
class DataRow(Message):
    """One row; None is SQL NULL."""

    TYPE: ClassVar[int] = types.B_DATA_ROW
    values: tuple[bytes | None, ...] = field(repr=False)

    def _payload(self) -> bytes:
        return buffer.values(self.values)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.values())


@dataclass(frozen=True, slots=True)
class ParameterDescription(Message):
    """The types of a statement's parameters."""

    TYPE: ClassVar[int] = types.B_PARAMETER_DESCRIPTION
    oids: tuple[int, ...]

    def _payload(self) -> bytes:
        return buffer.uint32s(self.oids)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.uint32s())


@dataclass(frozen=True, slots=True)
class CommandComplete(Message):
    """One command is done; the tag is such as b"SELECT 3"."""

    TYPE: ClassVar[int] = types.B_COMMAND_COMPLETE
    tag: bytes

    def _payload(self) -> bytes:
        return buffer.cstring(self.tag)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.cstring())


@dataclass(frozen=True, slots=True)
class EmptyQueryResponse(Message):
    """The query text was empty."""

    TYPE: ClassVar[int] = types.B_EMPTY_QUERY


@dataclass(frozen=True, slots=True)
class ParseComplete(Message):
    """A Parse is done."""

    TYPE: ClassVar[int] = types.B_PARSE_COMPLETE


@dataclass(frozen=True, slots=True)
class BindComplete(Message):
    """A Bind is done."""

    TYPE: ClassVar[int] = types.B_BIND_COMPLETE


@dataclass(frozen=True, slots=True)
class CloseComplete(Message):
    """A Close is done."""

    TYPE: ClassVar[int] = types.B_CLOSE_COMPLETE


@dataclass(frozen=True, slots=True)
class NoData(Message):
    """What was described returns no rows."""

    TYPE: ClassVar[int] = types.B_NO_DATA


@dataclass(frozen=True, slots=True)
class PortalSuspended(Message):
    """Execute reached its row limit; the portal has more."""

    TYPE: ClassVar[int] = types.B_PORTAL_SUSPENDED


@dataclass(frozen=True, slots=True)
class _CopyResponse(Message):
    format: int
    column_formats: tuple[int, ...] = ()

    def _payload(self) -> bytes:
        return buffer.pack("B", self.format) + buffer.int16s(self.column_formats)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.byte(), reader.int16s())


@dataclass(frozen=True, slots=True)
class CopyInResponse(_CopyResponse):
    """The client is to send COPY data; formats as in Bind."""

    TYPE: ClassVar[int] = types.B_COPY_IN


@dataclass(frozen=True, slots=True)
class CopyOutResponse(_CopyResponse):
    """COPY data follows."""

    TYPE: ClassVar[int] = types.B_COPY_OUT


@dataclass(frozen=True, slots=True)
class CopyBothResponse(_CopyResponse):
    """COPY data flows both ways: streaming replication."""

    TYPE: ClassVar[int] = types.B_COPY_BOTH


@dataclass(frozen=True, slots=True)
class FunctionCallResponse(Message):
    """What a FunctionCall returned; None is SQL NULL."""

    TYPE: ClassVar[int] = types.B_FUNCTION_RESULT
    value: bytes | None = field(repr=False)

    def _payload(self) -> bytes:
        return buffer.value(self.value)

    @classmethod
    def _read(cls, reader: Reader) -> Self:
        return cls(reader.value())
