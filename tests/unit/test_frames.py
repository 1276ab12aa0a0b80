from __future__ import annotations

import asyncio

import msgspec
import pytest

from dbopt.errors import ProtocolError
from dbopt.frames import bodies, frame


class Said(msgspec.Struct, tag="said", frozen=True):
    text: str


def read(data: bytes, most: int = 100) -> list[bytes]:
    async def run() -> list[bytes]:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return [body async for body in bodies(reader, most)]

    return asyncio.run(run())


def test_what_is_framed_is_read() -> None:
    messages = [Said("a"), Said("b" * 50)]
    found = read(b"".join(map(frame, messages)))
    assert messages == [msgspec.msgpack.decode(body, type=Said) for body in found]


def test_a_half_sent_frame_is_none() -> None:
    assert [] == read(frame(Said("a"))[:-1])
    assert [] == read(b"\0\0")


def test_a_frame_that_is_too_long_is_refused_before_it_is_read() -> None:
    with pytest.raises(ProtocolError, match="A frame of 101 bytes"):
        read((101).to_bytes(4))
