from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.wire import encode, scan

BATCH = encode.parse(b"", b"SELECT 1") + encode.sync()


def test_messages() -> None:
    buffer = BATCH + b"Q\0\0"
    expected = [(ord("P"), 0, len(BATCH) - 5), (ord("S"), len(BATCH) - 5, len(BATCH))]
    assert expected == list(scan.messages(buffer))
    assert len(BATCH) == scan.complete_length(buffer)


def test_messages_from_an_offset_on() -> None:
    assert [(ord("S"), 3, 8)] == list(scan.messages(memoryview(b"xyz" + encode.sync()), 3))


@pytest.mark.parametrize("rest", [b"", b"Q", b"Q\0\0\0\x05"])
def test_an_incomplete_message(rest: bytes) -> None:
    assert list(scan.messages(rest)) == []
    assert scan.complete_length(rest) == 0


@pytest.mark.parametrize("length", [0, 3, 0x7FFFFFFF, 0xFFFFFFFF])
def test_an_impossible_length(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"message type 81: length {length} is impossible"):
        list(scan.messages(b"Q" + length.to_bytes(4)))
