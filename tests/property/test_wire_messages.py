"""Whatever the fields, whatever the pieces, whatever the garbage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbopt.errors import ProtocolError
from dbopt.wire import messages as m
from dbopt.wire import scan, types
from dbopt.wire.codec import BackendDecoder, Decoder, FrontendDecoder
from dbopt.wire.message import Message

Strategy = st.SearchStrategy[Any]

data = st.binary(max_size=40)
texts = data.map(lambda value: value.replace(b"\0", b""))
names = texts.map(lambda value: value.decode("utf-8", "surrogateescape"))
words = names.filter(bool)
int16 = st.integers(-(1 << 15), (1 << 15) - 1)
int32 = st.integers(-(1 << 31), (1 << 31) - 1)
uint32 = st.integers(0, (1 << 32) - 1)
keys = st.binary(min_size=4, max_size=256)
formats = st.lists(int16, max_size=4).map(tuple)
values = st.lists(st.none() | data, max_size=4).map(tuple)
oids = st.lists(uint32, max_size=4).map(tuple)
kinds = st.sampled_from([0x53, 0x50])
fields = st.dictionaries(st.integers(1, 255).map(chr), texts, max_size=5)
columns = st.builds(m.Column, texts, uint32, int16, uint32, int16, int32, int16)

FRONTEND: dict[type[Message], Strategy] = {
    m.Query: st.builds(m.Query, texts),
    m.Parse: st.builds(m.Parse, texts, texts, oids),
    m.Bind: st.builds(m.Bind, texts, texts, formats, values, formats),
    m.Execute: st.builds(m.Execute, texts, int32),
    m.Describe: st.builds(m.Describe, kinds, texts),
    m.Close: st.builds(m.Close, kinds, texts),
    m.Sync: st.builds(m.Sync),
    m.Flush: st.builds(m.Flush),
    m.Terminate: st.builds(m.Terminate),
    m.CopyData: st.builds(m.CopyData, data),
    m.CopyDone: st.builds(m.CopyDone),
    m.CopyFail: st.builds(m.CopyFail, texts),
    m.FunctionCall: st.builds(m.FunctionCall, uint32, formats, values, int16),
    m.AuthenticationResponse: st.builds(m.AuthenticationResponse, data),
}
SAME_TYPE: dict[type[Message], Strategy] = {
    m.PasswordMessage: st.builds(m.PasswordMessage, texts),
    m.SASLInitialResponse: st.builds(m.SASLInitialResponse, names, st.none() | data),
    m.SASLResponse: st.builds(m.SASLResponse, data),
    m.GSSResponse: st.builds(m.GSSResponse, data),
}
BACKEND: dict[type[Message], Strategy] = {
    m.AuthenticationOk: st.builds(m.AuthenticationOk),
    m.AuthenticationKerberosV5: st.builds(m.AuthenticationKerberosV5),
    m.AuthenticationCleartextPassword: st.builds(m.AuthenticationCleartextPassword),
    m.AuthenticationMD5Password: st.builds(
        m.AuthenticationMD5Password, st.binary(min_size=4, max_size=4)
    ),
    m.AuthenticationSCMCredential: st.builds(m.AuthenticationSCMCredential),
    m.AuthenticationGSS: st.builds(m.AuthenticationGSS),
    m.AuthenticationGSSContinue: st.builds(m.AuthenticationGSSContinue, data),
    m.AuthenticationSSPI: st.builds(m.AuthenticationSSPI),
    m.AuthenticationSASL: st.builds(m.AuthenticationSASL, st.lists(words, max_size=3).map(tuple)),
    m.AuthenticationSASLContinue: st.builds(m.AuthenticationSASLContinue, data),
    m.AuthenticationSASLFinal: st.builds(m.AuthenticationSASLFinal, data),
    m.ParameterStatus: st.builds(m.ParameterStatus, names, names),
    m.BackendKeyData: st.builds(m.BackendKeyData, int32, keys),
    m.NegotiateProtocolVersion: st.builds(
        m.NegotiateProtocolVersion, uint32, st.lists(names, max_size=3).map(tuple)
    ),
    m.ReadyForQuery: st.builds(m.ReadyForQuery, st.sampled_from([0x49, 0x54, 0x45])),
    m.RowDescription: st.builds(m.RowDescription, st.lists(columns, max_size=3).map(tuple)),
    m.DataRow: st.builds(m.DataRow, values),
    m.ParameterDescription: st.builds(m.ParameterDescription, oids),
    m.CommandComplete: st.builds(m.CommandComplete, texts),
    m.EmptyQueryResponse: st.builds(m.EmptyQueryResponse),
    m.ParseComplete: st.builds(m.ParseComplete),
    m.BindComplete: st.builds(m.BindComplete),
    m.CloseComplete: st.builds(m.CloseComplete),
    m.NoData: st.builds(m.NoData),
    m.PortalSuspended: st.builds(m.PortalSuspended),
    m.CopyInResponse: st.builds(m.CopyInResponse, st.integers(0, 255), formats),
    m.CopyOutResponse: st.builds(m.CopyOutResponse, st.integers(0, 255), formats),
    m.CopyBothResponse: st.builds(m.CopyBothResponse, st.integers(0, 255), formats),
    m.CopyData: st.builds(m.CopyData, data),
    m.CopyDone: st.builds(m.CopyDone),
    m.FunctionCallResponse: st.builds(m.FunctionCallResponse, st.none() | data),
    m.ErrorResponse: st.builds(m.ErrorResponse, fields),
    m.NoticeResponse: st.builds(m.NoticeResponse, fields),
    m.NotificationResponse: st.builds(m.NotificationResponse, int32, texts, texts),
}
STARTUP: dict[type[Message], Strategy] = {
    m.StartupMessage: st.builds(
        m.StartupMessage,
        st.dictionaries(words, names, max_size=4),
        st.integers(0, 0xFFFF).map(lambda minor: types.PROTOCOL_3_0 | minor),
    ),
    m.SSLRequest: st.builds(m.SSLRequest),
    m.GSSENCRequest: st.builds(m.GSSENCRequest),
    m.CancelRequest: st.builds(m.CancelRequest, int32, keys),
}

frontend = st.one_of(*FRONTEND.values())
backend = st.one_of(*BACKEND.values())
startup = st.one_of(*STARTUP.values())
opening = st.tuples(
    st.permutations([m.SSLRequest(), m.GSSENCRequest()]).flatmap(
        lambda both: st.integers(0, 2).map(lambda n: both[:n])
    ),
    STARTUP[m.StartupMessage],
    st.lists(frontend, max_size=6),
).map(lambda parts: [*parts[0], parts[1], *parts[2]])


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted({cut % (len(stream) + 1) for cut in cuts}), len(stream)]
    return [stream[a:b] for a, b in pairwise(edges)]


def read(decoder: Decoder[Any], chunks: list[bytes]) -> tuple[list[Any], str]:
    """The events, and the error that ended them."""
    events = []
    try:
        for chunk in chunks:
            decoder.receive_data(chunk)
            events.extend(decoder)
        decoder.receive_eof()
        events.extend(decoder)
    except ProtocolError as error:
        return events, str(error)
    return events, ""


def read_all_ways(
    make: Callable[[], Decoder[Any]], stream: bytes, cuts: list[int]
) -> tuple[list[Any], str]:
    """The events of the stream in one chunk, once bytewise and in random pieces gave them too."""
    bytewise = read(make(), [stream[i : i + 1] for i in range(len(stream))])
    assert bytewise == read(make(), pieces(stream, cuts))
    return bytewise


def test_every_message_has_a_strategy() -> None:
    exported = {getattr(m, name) for name in m.__all__}
    expected = {t for t in exported if isinstance(t, type) and issubclass(t, Message)}
    assert expected == FRONTEND.keys() | SAME_TYPE.keys() | BACKEND.keys() | STARTUP.keys()


@given(frontend)
def test_frontend_round_trip(message: Any) -> None:
    encoded = message.encode()
    assert len(encoded) - 1 == int.from_bytes(encoded[1:5])
    assert message == m.parse_frontend(encoded[0], encoded[5:])


@given(backend)
def test_backend_round_trip(message: Any) -> None:
    encoded = message.encode()
    assert len(encoded) - 1 == int.from_bytes(encoded[1:5])
    assert message == m.parse_backend(encoded[0], encoded[5:])


@given(st.one_of(*SAME_TYPE.values()))
def test_authentication_answer_round_trip(message: Any) -> None:
    encoded = message.encode()
    assert message == type(message).parse(encoded[5:])
    assert m.AuthenticationResponse(encoded[5:]) == m.parse_frontend(encoded[0], encoded[5:])


@given(startup)
def test_startup_round_trip(message: Any) -> None:
    encoded = message.encode()
    assert len(encoded) == int.from_bytes(encoded[:4])
    assert message == m.parse_startup(encoded[4:])


@given(opening, st.lists(st.integers(min_value=0), max_size=5))
def test_a_client_in_any_pieces(messages: list[Any], cuts: list[int]) -> None:
    stream = b"".join(message.encode() for message in messages)
    assert (messages, "") == read_all_ways(FrontendDecoder, stream, cuts)
    assert (messages, "") == read(FrontendDecoder(), [stream])


@given(st.lists(backend, max_size=6), st.lists(st.integers(min_value=0), max_size=5))
def test_a_server_in_any_pieces(messages: list[Any], cuts: list[int]) -> None:
    stream = b"".join(message.encode() for message in messages)
    assert (messages, "") == read_all_ways(BackendDecoder, stream, cuts)
    assert (messages, "") == read(BackendDecoder(), [stream])


@given(st.lists(backend, max_size=6), st.integers(0, 4))
def test_scan_finds_the_same_messages(messages: list[Any], cut: int) -> None:
    encoded = [message.encode() for message in messages]
    stream = b"".join(encoded)
    found = [stream[start:end] for _, start, end in scan.messages(stream + b"Q\0\0\0\5"[:cut])]
    assert encoded == found
    assert len(stream) == scan.complete_length(stream)


@pytest.mark.parametrize("make", [FrontendDecoder, BackendDecoder])
@given(stream=st.binary(max_size=60), cuts=st.lists(st.integers(min_value=0), max_size=3))
def test_garbage_is_read_or_refused(
    make: Callable[[], Decoder[Any]], stream: bytes, cuts: list[int]
) -> None:
    assert read_all_ways(make, stream, cuts) == read(make(), [stream])


@given(st.integers(0, 255), st.binary(max_size=60))
def test_a_garbage_payload_is_parsed_or_refused(type_: int, payload: bytes) -> None:
    for parse in (m.parse_frontend, m.parse_backend):
        message = parsed(parse, type_, payload)
        if message is not None:
            assert message == parse(type_, message.encode()[5:])


@given(st.sampled_from([b"\0\3", b"\4\xd2", b""]), st.binary(max_size=60))
def test_a_garbage_packet_is_parsed_or_refused(head: bytes, rest: bytes) -> None:
    message = parsed(lambda _, payload: m.parse_startup(payload), 0, head + rest)
    if message is not None:
        assert message == m.parse_startup(message.encode()[4:])


@given(st.one_of(frontend, backend), st.data())
def test_a_damaged_message_is_parsed_or_refused(message: Any, draw: st.DataObject) -> None:
    encoded = bytearray(message.encode())
    if len(encoded) > 5:
        encoded[draw.draw(st.integers(5, len(encoded) - 1))] ^= draw.draw(st.integers(1, 255))
    for parse in (m.parse_frontend, m.parse_backend):
        parsed(parse, encoded[0], bytes(encoded[5:]))


def parsed(parse: Callable[[int, bytes], Any], type_: int, payload: bytes) -> Any:
    """The message; None if it is refused with the one error that may come."""
    try:
        return parse(type_, payload)
    except ProtocolError:
        return None
