"""A client's bytes as messages: where each ends, and which are complete."""

from __future__ import annotations

from struct import Struct
from typing import Final

from dbopt.errors import ProtocolError
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
    max_frontend_length,
)

KNOWN: Final = frozenset(
    (
        F_BIND, F_CLOSE, F_COPY_DATA, F_COPY_DONE, F_COPY_FAIL, F_DESCRIBE, F_EXECUTE, F_FLUSH,
        F_FUNCTION_CALL, F_PARSE, F_QUERY, F_SYNC, F_TERMINATE,
    )
)  # fmt: skip
"""The types of messages that a client may send once it is logged in."""

_PORTAL: Final = 0x50
_COPY = frozenset((F_COPY_DATA, F_COPY_DONE, F_COPY_FAIL))
_ENDS = frozenset((F_QUERY, F_FUNCTION_CALL, F_SYNC))
_length = Struct("!i").unpack_from


def unknown_type(kind: int) -> ProtocolError:
    """The error to raise for a message of no type that there is."""
    return ProtocolError(f"The client sent a message of unknown type {kind:#04x}.")


def impossible_length(kind: int, length: int) -> ProtocolError:
    """The error to raise for a length that no message has."""
    return ProtocolError(f"The client sent a message of type {kind:#04x} with length {length}.")


def check_length(kind: int, length: int) -> None:
    """ProtocolError where PostgreSQL takes no message of that type and length word."""
    if not 4 <= length <= max_frontend_length(kind):
        raise impossible_length(kind, length)


def needed(data: bytes | bytearray, start: int = 0) -> int:
    """How many bytes the message at `start` takes, itself complete or not.

    5 where not even its header is there. ProtocolError on a type or length that cannot be,
    so that garbage is refused before it is waited for.
    """
    if start < len(data) and data[start] not in KNOWN:
        raise unknown_type(data[start])
    if len(data) - start < 5:
        return 5
    length: int = _length(data, start + 1)[0]
    check_length(data[start], length)
    return 1 + length


def terminator(data: bytes, start: int, end: int) -> int:
    """Where the string at `start` ends. ProtocolError if it does not before `end`."""
    at = data.find(0, start, end)
    if at < 0:
        raise ProtocolError("The client sent a message whose string has no end.")
    return at


def end_of_copy(data: bytes) -> int:
    """Where the rest of a COPY that has failed ends, at the start of `data`: nobody reads it."""
    position = 0
    while position < len(data) and data[position] in _COPY:
        end = position + needed(data, position)
        if end > len(data):
            break
        position = end
    return position


def is_one_request(data: bytes) -> bool:
    """Whether data is just one simple query or function call, or one batch up to its Sync.

    What asyncpg sends behind a COPY, before it has heard of it, belongs to it.
    """
    position = 0
    while position < len(data):
        kind = data[position]
        try:
            position += needed(data, position)
        except ProtocolError:
            return False  # no message at all
        if kind in _ENDS:
            return position + end_of_copy(data[position:]) == len(data)
    return False


def ends_batch(data: bytes, position: int, size: int) -> bool:
    """Whether what follows a Bind is [Describe] Execute Sync of the unnamed portal, and no more."""
    if data[position] == F_DESCRIBE and size - position > 7:
        if data[position + 5] != _PORTAL or _length(data, position + 1)[0] != 6:
            return False
        position += 7
    sync = size - 5
    return (
        sync - position == 10
        and data[position] == F_EXECUTE
        and data[position + 5] == 0
        and _length(data, position + 1)[0] == 9
        and data[sync] == F_SYNC
        and _length(data, sync + 1)[0] == 4
    )
