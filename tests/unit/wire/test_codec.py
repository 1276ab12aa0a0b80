from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.wire import encode, types
from dbopt.wire import messages as m
from dbopt.wire.codec import BackendDecoder, FrontendDecoder

STARTUP = encode.startup({"user": "alice"})


def opened() -> FrontendDecoder:
    decoder = FrontendDecoder()
    decoder.receive_data(STARTUP)
    assert [m.StartupMessage({"user": "alice"})] == list(decoder)
    decoder.authenticated()
    return decoder


def test_a_login_from_the_first_packet_on() -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(encode.ssl_request())
    assert m.SSLRequest() == decoder.next_event()
    assert decoder.next_event() is None
    decoder.receive_data(STARTUP + encode.password(b"x") + encode.query(b"SELECT 1"))
    assert [
        m.StartupMessage({"user": "alice"}),
        m.AuthenticationResponse(b"x\0"),
        m.Query(b"SELECT 1"),
    ] == list(decoder)


def test_plaintext_behind_an_ssl_request_is_seen() -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(encode.ssl_request() + STARTUP)
    assert m.SSLRequest() == decoder.next_event()
    assert len(STARTUP) == decoder.buffered


def test_ssl_and_gssenc_requests_come_once_each() -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(m.GSSENCRequest().encode() + encode.ssl_request() * 2)
    assert m.GSSENCRequest() == decoder.next_event()
    assert m.SSLRequest() == decoder.next_event()
    with pytest.raises(ProtocolError, match="a second SSLRequest"):
        decoder.next_event()


def test_nothing_follows_a_cancel_request() -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(encode.cancel_request(1, b"1234"))
    assert [m.CancelRequest(1, b"1234")] == list(decoder)
    decoder.receive_data(b"x")
    with pytest.raises(ProtocolError, match="data after a CancelRequest"):
        decoder.next_event()


def test_a_tls_hello_is_no_startup_packet() -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(b"\x16\x03\x01\x02\x00")
    with pytest.raises(ProtocolError, match="startup packet: length 369295614 is not in 0 to"):
        decoder.next_event()


@pytest.mark.parametrize("length", [0, 3, 10_005, 0xFFFFFFFF])
def test_an_impossible_startup_length(length: int) -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(length.to_bytes(4))
    with pytest.raises(ProtocolError, match="startup packet: length"):
        decoder.next_event()


def test_a_length_is_judged_before_the_body_comes() -> None:
    decoder = opened()
    decoder.receive_data(b"Q" + (types.MAX_MESSAGE_LENGTH + 5).to_bytes(4))
    with pytest.raises(ProtocolError, match="frontend message type 81: length"):
        decoder.next_event()


def test_a_small_message_stays_small() -> None:
    decoder = opened()
    decoder.receive_data(b"S" + (types.MAX_SMALL_LENGTH + 5).to_bytes(4))
    with pytest.raises(ProtocolError, match="is not in 0 to 10000"):
        decoder.next_event()


def test_who_has_not_logged_in_sends_nothing_long() -> None:
    decoder = FrontendDecoder()
    decoder.receive_data(STARTUP + b"p" + (types.MAX_AUTH_LENGTH + 5).to_bytes(4))
    assert m.StartupMessage({"user": "alice"}) == decoder.next_event()
    with pytest.raises(ProtocolError, match="is not in 0 to 65535"):
        decoder.next_event()


def test_a_server_sends_long_messages_only_where_libpq_takes_them() -> None:
    decoder = BackendDecoder()
    decoder.receive_data(b"Z" + (types.MAX_SHORT_BACKEND_LENGTH + 5).to_bytes(4))
    with pytest.raises(ProtocolError, match="backend message type 90: length"):
        decoder.next_event()
    row = m.DataRow((bytes(100_000),))
    decoder = BackendDecoder()
    decoder.receive_data(row.encode())
    assert [row] == list(decoder)


@pytest.mark.parametrize("cut", range(1, 5))
def test_an_end_inside_a_message(cut: int) -> None:
    for decoder, data in ((BackendDecoder(), b"Z\0\0\0\5I"), (FrontendDecoder(), STARTUP)):
        decoder.receive_data(data[:cut])
        decoder.receive_eof()
        with pytest.raises(ProtocolError, match="the stream ended inside it"):
            decoder.next_event()


def test_an_end_between_messages() -> None:
    decoder = opened()
    decoder.receive_data(encode.terminate())
    decoder.receive_eof()
    assert [m.Terminate()] == list(decoder)
    assert decoder.next_event() is None


def test_no_data_after_the_end() -> None:
    decoder = BackendDecoder()
    decoder.receive_eof()
    assert decoder.next_event() is None
    with pytest.raises(ProtocolError, match="data after the end"):
        decoder.receive_data(b"x")
