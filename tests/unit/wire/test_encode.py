"""The builders against the messages that they stand for."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dbopt.errors import AuthenticationError, ProtocolError, QueueTimeout
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.message import Message

PARAMS = {"user": "alice", "application_name": ""}

CASES: list[tuple[bytes, Message]] = [
    (encode.ready_for_query(b"T"), m.ReadyForQuery(types.IN_TRANSACTION)),
    (encode.parameter_status("TimeZone", "UTC"), m.ParameterStatus("TimeZone", "UTC")),
    (encode.backend_key_data(7, b"12345678"), m.BackendKeyData(7, b"12345678")),
    (encode.authentication_ok(), m.AuthenticationOk()),
    (encode.authentication_cleartext(), m.AuthenticationCleartextPassword()),
    (encode.authentication_md5(b"salt"), m.AuthenticationMD5Password(b"salt")),
    (encode.authentication_sasl(("A", "B")), m.AuthenticationSASL(("A", "B"))),
    (encode.authentication_sasl_continue(b"r=x"), m.AuthenticationSASLContinue(b"r=x")),
    (encode.authentication_sasl_final(b"v=x"), m.AuthenticationSASLFinal(b"v=x")),
    (
        encode.negotiate_protocol_version(2, ["_pq_.x"]),
        m.NegotiateProtocolVersion(types.PROTOCOL_3_2, ("_pq_.x",)),
    ),
    (encode.query(b"SELECT 1"), m.Query(b"SELECT 1")),
    (encode.parse(b"s", b"SELECT 1"), m.Parse(b"s", b"SELECT 1")),
    (encode.parse(b"s", b"SELECT $1", b"\0\x01\0\0\0\x17"), m.Parse(b"s", b"SELECT $1", (23,))),
    (encode.close_statement(b"s"), m.Close(0x53, b"s")),
    (encode.sync(), m.Sync()),
    (encode.flush(), m.Flush()),
    (encode.terminate(), m.Terminate()),
    (encode.startup(PARAMS), m.StartupMessage(PARAMS)),
    (encode.startup({}, types.PROTOCOL_3_2), m.StartupMessage({}, types.PROTOCOL_3_2)),
    (encode.ssl_request(), m.SSLRequest()),
    (encode.cancel_request(7, b"1234"), m.CancelRequest(7, b"1234")),
    (encode.password(b"x"), m.PasswordMessage(b"x")),
    (encode.sasl_initial_response("A", b"n,,"), m.SASLInitialResponse("A", b"n,,")),
    (encode.sasl_response(b"c=x"), m.SASLResponse(b"c=x")),
]


@pytest.mark.parametrize(("data", "message"), CASES, ids=lambda case: type(case).__name__)
def test_builder(data: bytes, message: Message) -> None:
    assert message.encode() == data


def test_error_response_says_what_the_error_says() -> None:
    error = QueueTimeout("no connection in 30 s", hint="Raise pool.max_size.")
    data = encode.error_response(error, "FATAL")
    expected = {
        "S": b"FATAL",
        "V": b"FATAL",
        "C": b"53300",
        "M": b"no connection in 30 s",
        "H": b"Raise pool.max_size.",
    }
    assert m.ErrorResponse(expected) == m.parse_backend(data[0], data[5:])


def test_error_without_hint_has_no_hint_field() -> None:
    message = m.ErrorResponse.parse(encode.error_response(AuthenticationError("no"))[5:])
    assert "".join(message.fields) == "SVCM"


def test_notice() -> None:
    message = m.NoticeResponse.parse(encode.notice("queued", detail="3 before you")[5:])
    expected = {"S": b"NOTICE", "V": b"NOTICE", "C": b"00000", "M": b"queued", "D": b"3 before you"}
    assert expected == message.fields


def test_no_text_can_forge_a_field() -> None:
    data = encode.error_fields("ERROR", "XX000", "a\0Mforged\ud800")
    assert m.ErrorResponse.parse(data[5:]).fields["M"] == b"a?Mforged?"


@pytest.mark.parametrize(
    "build",
    [
        lambda: encode.query(b"a\0b"),
        lambda: encode.startup({"user": "a\0database\0b"}),
        lambda: encode.startup({"": "x"}),
        lambda: encode.ready_for_query(b"X"),
        lambda: encode.backend_key_data(1, b"123"),
        lambda: encode.cancel_request(1, bytes(257)),
        lambda: encode.authentication_md5(b"123"),
        lambda: encode.password(b"a\0b"),
    ],
)
def test_what_the_protocol_cannot_carry_is_refused(build: Callable[[], bytes]) -> None:
    with pytest.raises(ProtocolError):
        build()
