from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.framing import end_of_copy, is_one_request, needed, terminator

QUERY = b"Q\0\0\0\x06x\0"
SYNC = b"S\0\0\0\4"
ROW = b"d\0\0\0\x06ab"
DONE = b"c\0\0\0\4"


@pytest.mark.parametrize("size", range(5))
def test_a_header_is_waited_for(size: int) -> None:
    assert 5 == needed(QUERY[:size])


def test_the_whole_message_is_needed() -> None:
    assert len(QUERY) == needed(QUERY[:5]) == needed(QUERY + SYNC)
    assert len(SYNC) == needed(bytearray(QUERY + SYNC), len(QUERY))


@pytest.mark.parametrize(
    "data",
    [
        b"Z",
        b"\0\0\0\0\4",
        b"Q\0\0\0\3",
        b"Q\xff\xff\xff\xff",
        b"Q\x7f\xff\xff\xff",
        b"S\x3f\0\0\0",
        b"D\0\0\x27\x11",
    ],
)
def test_garbage_is_refused_at_once(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        needed(data)


@pytest.mark.parametrize("data", [b"Q\x3f\xff\xff\xfe", b"d\x3f\0\0\0", b"D\0\0\x27\x10"])
def test_long_messages_of_types_that_may_be_long(data: bytes) -> None:
    assert 1 + int.from_bytes(data[1:]) == needed(data)


def test_a_string_must_end() -> None:
    assert 2 == terminator(b"ab\0c", 0, 4)
    with pytest.raises(ProtocolError):
        terminator(b"abc\0", 0, 3)


@pytest.mark.parametrize(
    ("data", "end"),
    [
        (b"", 0),
        (QUERY, 0),
        (ROW + DONE + QUERY, len(ROW + DONE)),
        (ROW + ROW[:3], len(ROW)),
        (ROW[:6], 0),
        (b"f\0\0\0\5\0" + SYNC + ROW, 6),
    ],
)
def test_the_rest_of_a_copy(data: bytes, end: int) -> None:
    assert end == end_of_copy(data)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (QUERY, True),
        (SYNC, True),
        (b"P\0\0\0\4" + b"B\0\0\0\4" + SYNC, True),
        (QUERY + ROW + DONE, True),
        (QUERY + ROW[:6], False),
        (QUERY + DONE + QUERY, False),
        (QUERY + QUERY, False),
        (SYNC + QUERY[:3], False),
        (b"P\0\0\0\4", False),
        (QUERY[:6], False),
        (b"", False),
    ],
)
def test_one_request(data: bytes, expected: bool) -> None:
    assert expected is is_one_request(data)
