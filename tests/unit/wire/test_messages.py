"""Each message against bytes written by hand from the protocol's documentation."""

from __future__ import annotations

import pytest

from dbopt.errors import ProtocolError
from dbopt.wire import messages as m
from dbopt.wire.message import Message

FRONTEND = [
    (m.Query(b"SELECT 1"), b"Q\x00\x00\x00\x0dSELECT 1\x00"),
    (m.Parse(b"s1", b"SELECT $1", (23,)), b"P\0\0\0\x17s1\0SELECT $1\0\0\x01\0\0\0\x17"),
    (
        m.Bind(b"", b"s1", (1,), (b"\0\0\0\x2a", None), (0,)),
        b"B\0\0\0\x1e\0s1\0\0\x01\0\x01\0\x02\0\0\0\x04\0\0\0\x2a\xff\xff\xff\xff\0\x01\0\0",
    ),
    (m.Execute(b"", 0), b"E\0\0\0\x09\0\0\0\0\0"),
    (m.Describe(0x53, b"s1"), b"D\0\0\0\x08Ss1\0"),
    (m.Close(0x50, b""), b"C\0\0\0\x06P\0"),
    (m.Sync(), b"S\0\0\0\x04"),
    (m.Flush(), b"H\0\0\0\x04"),
    (m.Terminate(), b"X\0\0\0\x04"),
    (m.CopyData(b"1\t2\n"), b"d\0\0\0\x081\t2\n"),
    (m.CopyDone(), b"c\0\0\0\x04"),
    (m.CopyFail(b"no"), b"f\0\0\0\x07no\0"),
    (
        m.FunctionCall(954, (1,), (b"\0\0\0\x01",), 1),
        b"F\0\0\0\x18\0\0\x03\xba\0\x01\0\x01\0\x01\0\0\0\x04\0\0\0\x01\0\x01",
    ),
    (m.AuthenticationResponse(b"secret\0"), b"p\0\0\0\x0bsecret\0"),
]

ONE_COLUMN = m.Column(b"?column?", 0, 0, 23, 4, -1, 0)

BACKEND = [
    (m.AuthenticationOk(), b"R\0\0\0\x08\0\0\0\0"),
    (m.AuthenticationKerberosV5(), b"R\0\0\0\x08\0\0\0\x02"),
    (m.AuthenticationCleartextPassword(), b"R\0\0\0\x08\0\0\0\x03"),
    (m.AuthenticationMD5Password(b"salt"), b"R\0\0\0\x0c\0\0\0\x05salt"),
    (m.AuthenticationSCMCredential(), b"R\0\0\0\x08\0\0\0\x06"),
    (m.AuthenticationGSS(), b"R\0\0\0\x08\0\0\0\x07"),
    (m.AuthenticationGSSContinue(b"xy"), b"R\0\0\0\x0a\0\0\0\x08xy"),
    (m.AuthenticationSSPI(), b"R\0\0\0\x08\0\0\0\x09"),
    (
        m.AuthenticationSASL(("SCRAM-SHA-256-PLUS", "SCRAM-SHA-256")),
        b"R\0\0\0\x2a\0\0\0\x0aSCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0",
    ),
    (m.AuthenticationSASLContinue(b"r=x"), b"R\0\0\0\x0b\0\0\0\x0br=x"),
    (m.AuthenticationSASLFinal(b"v=y"), b"R\0\0\0\x0b\0\0\0\x0cv=y"),
    (m.ParameterStatus("TimeZone", "UTC"), b"S\0\0\0\x11TimeZone\0UTC\0"),
    (m.BackendKeyData(4711, b"\1\2\3\4"), b"K\0\0\0\x0c\0\0\x12\x67\1\2\3\4"),
    (
        m.NegotiateProtocolVersion(196608, ("_pq_.x",)),
        b"v\0\0\0\x13\0\x03\0\0\0\0\0\x01_pq_.x\0",
    ),
    (m.ReadyForQuery(0x49), b"Z\0\0\0\x05I"),
    (
        m.RowDescription((ONE_COLUMN,)),
        b"T\0\0\0\x21\0\x01?column?\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0",
    ),
    (m.DataRow((b"1", None)), b"D\0\0\0\x0f\0\x02\0\0\0\x011\xff\xff\xff\xff"),
    (m.ParameterDescription((23, 25)), b"t\0\0\0\x0e\0\x02\0\0\0\x17\0\0\0\x19"),
    (m.CommandComplete(b"SELECT 1"), b"C\0\0\0\x0dSELECT 1\0"),
    (m.EmptyQueryResponse(), b"I\0\0\0\x04"),
    (m.ParseComplete(), b"1\0\0\0\x04"),
    (m.BindComplete(), b"2\0\0\0\x04"),
    (m.CloseComplete(), b"3\0\0\0\x04"),
    (m.NoData(), b"n\0\0\0\x04"),
    (m.PortalSuspended(), b"s\0\0\0\x04"),
    (m.CopyInResponse(0, (0, 0)), b"G\0\0\0\x0b\0\0\x02\0\0\0\0"),
    (m.CopyOutResponse(1, (1,)), b"H\0\0\0\x09\x01\0\x01\0\x01"),
    (m.CopyBothResponse(0), b"W\0\0\0\x07\0\0\0"),
    (m.CopyData(b"x"), b"d\0\0\0\x05x"),
    (m.CopyDone(), b"c\0\0\0\x04"),
    (m.FunctionCallResponse(b"7"), b"V\0\0\0\x09\0\0\0\x017"),
    (m.FunctionCallResponse(None), b"V\0\0\0\x08\xff\xff\xff\xff"),
    (
        m.ErrorResponse({"S": b"ERROR", "C": b"42P01", "M": b"no table"}),
        b"E\0\0\0\x1dSERROR\0C42P01\0Mno table\0\0",
    ),
    (m.NoticeResponse({"S": b"NOTICE"}), b"N\0\0\0\x0dSNOTICE\0\0"),
    (m.NotificationResponse(7, b"ch", b"hi"), b"A\0\0\0\x0e\0\0\0\x07ch\0hi\0"),
]

SAME_TYPE = [
    (m.PasswordMessage(b"secret"), b"p\0\0\0\x0bsecret\0"),
    (m.SASLInitialResponse("SCRAM-SHA-256", b"n,,"), b"p\0\0\0\x19SCRAM-SHA-256\0\0\0\0\x03n,,"),
    (m.SASLInitialResponse("X", None), b"p\0\0\0\x0aX\0\xff\xff\xff\xff"),
    (m.SASLResponse(b"c=biws"), b"p\0\0\0\x0ac=biws"),
    (m.GSSResponse(b"\x60"), b"p\0\0\0\x05\x60"),
]


def names(cases: list[tuple[Message, bytes]]) -> list[str]:
    return [type(message).__name__ for message, _ in cases]


@pytest.mark.parametrize(("message", "data"), FRONTEND, ids=names(FRONTEND))
def test_frontend_message(message: Message, data: bytes) -> None:
    assert data == message.encode()
    assert message == m.parse_frontend(data[0], data[5:])


@pytest.mark.parametrize(("message", "data"), BACKEND, ids=names(BACKEND))
def test_backend_message(message: Message, data: bytes) -> None:
    assert data == message.encode()
    assert message == m.parse_backend(data[0], data[5:])


@pytest.mark.parametrize(("message", "data"), SAME_TYPE, ids=names(SAME_TYPE))
def test_answers_to_authentication_share_a_type(message: Message, data: bytes) -> None:
    assert data == message.encode()
    assert message == type(message).parse(data[5:])
    assert m.AuthenticationResponse(data[5:]) == m.parse_frontend(data[0], data[5:])


def test_every_message_type_is_here() -> None:
    tested = {type(message) for message, _ in FRONTEND + BACKEND + SAME_TYPE}
    startup = {m.StartupMessage, m.SSLRequest, m.GSSENCRequest, m.CancelRequest}
    exported = {getattr(m, name) for name in m.__all__}
    assert {t for t in exported if isinstance(t, type) and issubclass(t, Message)} == (
        tested | startup
    )


@pytest.mark.parametrize(
    ("type_", "payload", "error"),
    [
        (b"Q", b"SELECT 1", "malformed Query: a string has no terminator"),
        (b"Q", b"SELECT 1\0\0", "malformed Query: 1 bytes too many"),
        (b"P", b"\0\0\0\x02\0\0\0\x17", "malformed Parse: 4 bytes expected, 0 left"),
        (b"B", b"\0\0\0\0\0\x01\xff\xff\xff\xfe", "malformed Bind: -2 bytes expected, 0 left"),
        (b"D", b"Xs1\0", "malformed Describe: subtype 88 is neither statement nor portal"),
        (b"E", b"\0\0\0", "malformed Execute: 4 bytes expected, 2 left"),
        (b"S", b"x", "malformed Sync: 1 bytes too many"),
        (b"\x00", b"", "invalid frontend message type 0"),
    ],
)
def test_malformed_frontend(type_: bytes, payload: bytes, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        m.parse_frontend(type_[0], payload)
    assert error == str(caught.value)


@pytest.mark.parametrize(
    ("type_", "payload", "error"),
    [
        (b"Z", b"X", "malformed ReadyForQuery: transaction status 88 is not one"),
        (b"Z", b"", "malformed ReadyForQuery: 1 bytes expected, 0 left"),
        (b"R", b"\0\0\0\x63", "unknown authentication request 99"),
        (b"R", b"\0\0", "malformed Authentication: 4 bytes expected, 2 left"),
        (b"K", b"\0\0\0\x01\1\2", "a cancel key of 2 bytes; it must have 4 to 256"),
        (b"v", b"\0\x03\0\0\xff\xff\xff\xff", "malformed NegotiateProtocolVersion: "),
        (b"D", b"\xff\xff", "malformed DataRow: 4 bytes expected, 0 left"),
        (b"E", b"Mx\0", "malformed ErrorResponse: 1 bytes expected, 0 left"),
        (b"?", b"", "invalid backend message type 63"),
    ],
)
def test_malformed_backend(type_: bytes, payload: bytes, error: str) -> None:
    with pytest.raises(ProtocolError) as caught:
        m.parse_backend(type_[0], payload)
    assert str(caught.value).startswith(error)


@pytest.mark.parametrize(
    "message",
    [
        m.Query(b"SELECT 1\0DROP"),
        m.ParameterStatus("a\0b", ""),
        m.ParameterStatus("a", "\ud800"),
        m.Bind(b"", b"", (), (None,) * 65_536),
        m.Parse(b"", b"", (-1,)),
        m.Describe(0, b""),
        m.ReadyForQuery(0),
        m.AuthenticationMD5Password(b"long salt"),
        m.AuthenticationSASL(("",)),
        m.BackendKeyData(1, b"\0" * 257),
        m.BackendKeyData(1 << 31, b"\0" * 4),
        m.ErrorResponse({"": b""}),
        m.ErrorResponse({"\0": b""}),
        m.ErrorResponse({"M": b"a\0b"}),
        m.StartupMessage({"": "x"}),
    ],
    ids=repr,
)
def test_what_the_protocol_cannot_carry_is_refused(message: Message) -> None:
    with pytest.raises(ProtocolError):
        message.encode()


@pytest.mark.parametrize(
    "message",
    [
        m.PasswordMessage(b"hunter2"),
        m.SASLInitialResponse("X", b"hunter2"),
        m.AuthenticationResponse(b"hunter2"),
        m.Bind(b"", b"", (), (b"hunter2",)),
        m.DataRow((b"hunter2",)),
        m.CopyData(b"hunter2"),
        m.BackendKeyData(1, b"hunter2"),
        m.CancelRequest(1, b"hunter2"),
    ],
    ids=lambda message: type(message).__name__,
)
def test_repr_holds_no_secret_and_no_value(message: Message) -> None:
    assert "hunter2" not in repr(message)
