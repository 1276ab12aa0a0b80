"""A server's replies: which pass as they are, and what is read of the others."""

from __future__ import annotations

import re
from struct import Struct

from dbopt.errors import ProtocolError
from dbopt.wire.backend import RowDescription
from dbopt.wire.buffer import decode
from dbopt.wire.types import (
    B_BIND_COMPLETE,
    B_CLOSE_COMPLETE,
    B_COMMAND_COMPLETE,
    B_COPY_BOTH,
    B_COPY_DATA,
    B_COPY_IN,
    B_DATA_ROW,
    B_EMPTY_QUERY,
    B_ERROR,
    B_NO_DATA,
    B_NOTICE,
    B_NOTIFICATION,
    B_PARAMETER_DESCRIPTION,
    B_PARAMETER_STATUS,
    B_PARSE_COMPLETE,
    B_PORTAL_SUSPENDED,
    B_READY_FOR_QUERY,
    B_ROW_DESCRIPTION,
)

_type = Struct("!Ii").pack
_ROWS = re.compile(rb"(?:SELECT|INSERT \d+|UPDATE|DELETE|MERGE|FETCH|MOVE|COPY) (\d+)\0\Z")
_MAX_TAGS = 1000
_known_tags: dict[bytes, int] = {}
PASSING = frozenset(
    (
        B_DATA_ROW, B_COPY_DATA, B_ROW_DESCRIPTION, B_BIND_COMPLETE, B_NO_DATA,
        B_PARAMETER_DESCRIPTION, B_NOTICE, 0x48, 0x63, 0x56,
    )
)  # fmt: skip
"""Replies that change nothing; also CopyOutResponse, CopyDone and FunctionCallResponse."""
KNOWN = frozenset(
    (
        B_COMMAND_COMPLETE, B_READY_FOR_QUERY, B_PARSE_COMPLETE, B_CLOSE_COMPLETE, B_EMPTY_QUERY,
        B_PORTAL_SUSPENDED, B_ERROR, B_COPY_IN, B_PARAMETER_STATUS, B_COPY_BOTH, B_NOTIFICATION,
    )
)  # fmt: skip


def rows_of(tag: bytes) -> int:
    """The rows that a CommandComplete's payload tells; 0 where it tells none."""
    known = _known_tags.get(tag)
    return _read_tag(tag) if known is None else known


def _read_tag(tag: bytes) -> int:
    found = _ROWS.match(tag)
    rows = int(found[1]) if found is not None else 0
    if len(_known_tags) < _MAX_TAGS:
        _known_tags[tag] = rows
    return rows


def parameter_status(payload: bytes) -> tuple[str, str]:
    """Name and value of a ParameterStatus."""
    parts = payload.split(b"\0")
    if len(parts) != 3:
        raise ProtocolError("The server sent a ParameterStatus that cannot be read.")
    return decode(parts[0]), decode(parts[1])


def unknown_reply(kind: int) -> ProtocolError:
    """The error to raise for a message of no type that there is."""
    return ProtocolError(f"The server sent a message of unknown type {kind:#04x}.")


def status_of(payload: bytes) -> int:
    """The transaction status of a ReadyForQuery."""
    if len(payload) != 1:
        raise ProtocolError("The server sent a ReadyForQuery that cannot be read.")
    return payload[0]


def columns_of(payload: bytes) -> bytes:
    """The names and types of a RowDescription: what `cached plan must not change` is about."""
    columns = RowDescription.parse(payload).columns
    return b"".join(
        column.name + b"\0" + _type(column.type_oid, column.type_modifier) for column in columns
    )
