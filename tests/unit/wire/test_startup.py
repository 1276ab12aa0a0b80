from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.wire import types
from dbopt.wire.startup import (
    CancelRequest,
    FirstPacket,
    GSSENCRequest,
    SSLRequest,
    StartupMessage,
    parse_startup,
)

CASES: list[tuple[FirstPacket, bytes]] = [
    (SSLRequest(), b"\0\0\0\x08\x04\xd2\x16\x2f"),
    (GSSENCRequest(), b"\0\0\0\x08\x04\xd2\x16\x30"),
    (CancelRequest(4711, b"\1\2\3\4"), b"\0\0\0\x10\x04\xd2\x16\x2e\0\0\x12\x67\1\2\3\4"),
    (
        StartupMessage({"user": "alice", "database": "app"}),
        b"\0\0\0\x21\0\x03\0\0user\0alice\0database\0app\0\0",
    ),
    (StartupMessage({}, types.PROTOCOL_3_2), b"\0\0\0\x09\0\x03\0\x02\0"),
]


@pytest.mark.parametrize(
    ("packet", "data"), CASES, ids=lambda case: type(case).__name__ if case else ""
)
def test_packet(packet: FirstPacket, data: bytes) -> None:
    assert data == packet.encode()
    assert packet == parse_startup(data[4:])


def test_equal_packets_are_parsed_once() -> None:
    data = StartupMessage({"user": "alice"}).encode()[4:]
    assert parse_startup(data) is parse_startup(bytes(bytearray(data)))
    long = StartupMessage({"user": "alice", "options": "x" * 600}).encode()[4:]
    assert parse_startup(long) == parse_startup(bytes(bytearray(long)))
    assert parse_startup(long) is not parse_startup(long)


def test_the_key_of_a_cancel_request_is_not_kept() -> None:
    data = CancelRequest(1, b"\1\2\3\4").encode()[4:]
    assert parse_startup(data) is not parse_startup(data)


def test_the_longest_cancel_key() -> None:
    packet = CancelRequest(-1, bytes(256))
    assert packet == parse_startup(packet.encode()[4:])


@pytest.mark.parametrize(
    ("payload", "error"),
    [
        (b"", "malformed StartupMessage: 4 bytes expected, 0 left"),
        (b"\0\x02\0\0", "unsupported frontend protocol 2.0: 3.0 to 3.2 are supported"),
        (b"\0\x04\0\x01", "unsupported frontend protocol 4.1: 3.0 to 3.2 are supported"),
        (b"\0\x03\0\0", "malformed StartupMessage: a string has no terminator"),
        (b"\0\x03\0\0user\0\0", "malformed StartupMessage: a string has no terminator"),
        (b"\0\x03\0\0\0x", "malformed StartupMessage: 1 bytes too many"),
        (b"\x04\xd2\x16\x2fx", "malformed SSLRequest: 1 bytes too many"),
        (b"\x04\xd2\x16\x2e\0\0\0\1abc", "a cancel key of 3 bytes; it must have 4 to 256"),
        (b"\x04\xd2\x16\x2e\0\0", "malformed CancelRequest: 4 bytes expected, 2 left"),
    ],
)
def test_malformed(payload: bytes, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        parse_startup(payload)
    assert error == str(caught.value)


def test_one_request_is_not_another() -> None:
    with pytest.raises(ProtocolError, match="another request code"):
        SSLRequest.parse(b"\x04\xd2\x16\x30")


def test_database_is_the_user_where_none_is_named() -> None:
    assert StartupMessage({"user": "alice"}).database == "alice"
    assert StartupMessage({"user": "alice", "database": ""}).database == "alice"
    assert StartupMessage({"user": "alice", "database": "app"}).database == "app"


def test_of_a_repeated_parameter_the_last_counts() -> None:
    message = parse_startup(b"\0\x03\0\0user\0a\0user\0b\0\0")
    assert StartupMessage({"user": "b"}) == message


def test_protocol_options_and_version() -> None:
    message = StartupMessage({"user": "a", "_pq_.x": "1", "_pq_.y": ""}, types.PROTOCOL_3_2)
    assert message.protocol_options == ("_pq_.x", "_pq_.y")
    assert message.minor == 2


def test_a_name_that_is_not_utf8_survives() -> None:
    payload = b"\0\x03\0\0user\0\xe9\0\0"
    message = parse_startup(payload)
    assert payload == message.encode()[4:]
