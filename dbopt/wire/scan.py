"""Finding messages in a buffer without reading them. The relay's hot path has its own loop."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.errors import ProtocolError
from dbopt.wire import types

HEADER_LENGTH = 5
"""The type byte and the length word."""


def messages(
    buffer: bytes | bytearray | memoryview, start: int = 0
) -> Iterator[tuple[int, int, int]]:
    """Each complete message from `start` on: its type, and where it starts and ends.

    The header belongs to the message; the payload is `buffer[start + 5:end]`. What is left
    past the last `end` is an incomplete message. Raises ProtocolError for an impossible length.
    """
    while len(buffer) - start >= HEADER_LENGTH:
        length = int.from_bytes(buffer[start + 1 : start + HEADER_LENGTH])
        if not 4 <= length <= types.MAX_MESSAGE_LENGTH + 4:
            raise ProtocolError(f"message type {buffer[start]}: length {length} is impossible")
        end = start + 1 + length
        if end > len(buffer):
            return
        yield buffer[start], start, end
        start = end


def complete_length(buffer: bytes | bytearray | memoryview, start: int = 0) -> int:
    """Where the incomplete rest starts: the offset past the last complete message."""
    for _, _, end in messages(buffer, start):
        start = end
    return start
