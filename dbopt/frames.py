"""Frames: messages on a stream between processes of ours.

A frame is a length of four bytes (big-endian) and a MessagePack value, whose tag says which
message it is. Used between gateway workers and the control process, and by in-process pools.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec

from dbopt.errors import ProtocolError

LENGTH = 4


def frame(message: Any) -> bytes:
    """The bytes of one message: a msgspec Struct."""
    body = msgspec.msgpack.encode(message)
    return len(body).to_bytes(LENGTH) + body


async def bodies(reader: asyncio.StreamReader, most: int) -> AsyncIterator[bytes]:
    """The encoded messages that arrive, until the other side closes.

    Raises ProtocolError for a frame of more than `most` bytes.
    """
    while True:
        try:
            size = int.from_bytes(await reader.readexactly(LENGTH))
            if size > most:
                raise ProtocolError(f"A frame of {size} bytes came over the link.")
            yield await reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
