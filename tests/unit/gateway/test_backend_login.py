"""BackendLogin: the gateway's way into the server, step by step, without I/O."""

from __future__ import annotations

from typing import Any

import pytest

from dbopt.errors import AuthenticationError, DboptError, ProtocolError, ServerRefused
from dbopt.gateway.backend_login import MAX_LOGIN_BYTES, BackendLogin, UnsuitableServer
from dbopt.gateway.scram import ScramKeys, ScramServer
from dbopt.gateway.target import ConnectOptions, Target
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.codec import FrontendDecoder
from dbopt.wire.md5 import md5_response, md5_secret
from tests.fix_tls import Pair

TARGET = Target("db", 5432, "shop", "ann", "secret")
OK = encode.authentication_ok()
READY = (
    encode.parameter_status("TimeZone", "UTC")
    + encode.backend_key_data(7, b"abcd")
    + encode.ready_for_query(b"I")
)
SASL = encode.authentication_sasl(["SCRAM-SHA-256"])


def login_of(password: str = "secret") -> BackendLogin:  # noqa: S107 - a test's
    return BackendLogin(Target("db", 5432, "shop", "ann", password))


def test_the_startup_packet_says_who_comes() -> None:
    expected = {"user": "ann", "database": "shop"}
    assert encode.startup(expected) == login_of().first()


@pytest.mark.parametrize("size", [1, 3, 1000])
@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (b"", b""),
        (encode.authentication_cleartext(), encode.password(b"secret")),
        (
            encode.authentication_md5(b"salt"),
            encode.password(md5_response(md5_secret("ann", "secret"), b"salt")),
        ),
    ],
    ids=["trust", "password", "md5"],
)
def test_it_gives_what_is_asked_for(asked: bytes, answer: bytes, size: int) -> None:
    login = login_of()
    data = asked + OK + READY
    sent = [login.receive(data[start : start + size]) for start in range(0, len(data), size)]
    assert answer == b"".join(sent)
    assert (True, 7, b"abcd") == (login.done, login.pid, login.secret)
    assert {"TimeZone": "UTC"} == login.parameters


def scram(login: BackendLogin, server: ScramServer) -> bytes:
    """What the server says last."""
    decoder = FrontendDecoder()
    decoder.receive_data(login_of().first())
    decoder.next_event()
    decoder.receive_data(login.receive(SASL))
    first = decoder.next_event()
    assert isinstance(first, m.AuthenticationResponse)
    initial = m.SASLInitialResponse.parse(first.data)
    challenge = server.receive_first(initial.mechanism, initial.data)
    decoder.receive_data(login.receive(encode.authentication_sasl_continue(challenge)))
    second = decoder.next_event()
    assert isinstance(second, m.AuthenticationResponse)
    return server.receive_final(m.SASLResponse.parse(second.data).data)


def test_scram() -> None:
    login = login_of()
    final = scram(login, ScramServer("ann", "secret", mock_key=b"k" * 32))
    assert b"" == login.receive(encode.authentication_sasl_final(final) + OK + READY)
    assert login.done


def test_a_server_that_does_not_prove_itself() -> None:
    login = login_of()
    final = scram(login, ScramServer("ann", "secret", mock_key=b"k" * 32))
    with pytest.raises(DboptError):
        login.receive(encode.authentication_sasl_final(b"v=" + b"A" * len(final[2:])))
    login = login_of()
    scram(login, ScramServer("ann", "secret", mock_key=b"k" * 32))
    with pytest.raises(ProtocolError, match="before it proved itself"):
        login.receive(OK)
    assert not login.done


@pytest.mark.parametrize(
    "early", [encode.ready_for_query(b"I"), encode.parameter_status("a", "b")], ids=["Z", "S"]
)
def test_what_comes_before_the_authentication(early: bytes) -> None:
    login = login_of()
    with pytest.raises(ProtocolError, match="during the login"):
        login.receive(early)
    assert not login.done


@pytest.mark.parametrize("asked", [SASL, encode.authentication_cleartext()])
def test_no_password(asked: bytes) -> None:
    with pytest.raises(AuthenticationError, match="wants a password"):
        login_of("").receive(asked)


@pytest.mark.parametrize(
    "asked",
    [
        encode.authentication_sasl(["SCRAM-SHA-1"]),
        encode.authentication_sasl_continue(b"r=x"),
        b"R\0\0\0\x08\0\0\0\x07",
    ],
    ids=["mechanism", "out of turn", "GSS"],
)
def test_what_cannot_be_given(asked: bytes) -> None:
    with pytest.raises(AuthenticationError) as caught:
        login_of().receive(asked)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("sqlstate", "temporary"), [("57P03", True), ("53300", True), ("28P01", False)]
)
def test_a_refusal(sqlstate: str, temporary: bool) -> None:
    with pytest.raises(ServerRefused, match="the reason") as caught:
        login_of().receive(encode.error_fields("FATAL", sqlstate, "the reason"))
    assert (sqlstate, temporary) == (caught.value.reported, caught.value.temporary)


def test_garbage() -> None:
    with pytest.raises(ProtocolError):
        login_of().receive(b"HTTP/1.1 400 Bad Request\r\n\r\n")


# What else a server may send


def test_a_server_without_a_cancel_key() -> None:
    """pgdog#918: some servers send no BackendKeyData."""
    login = login_of()
    login.receive(OK + encode.ready_for_query(b"I"))
    assert (True, 0, b"") == (login.done, login.pid, login.secret)


@pytest.mark.parametrize("length", [4, 32, 256])
def test_keys_of_protocol_3_2(length: int) -> None:
    login = login_of()
    login.receive(OK + encode.backend_key_data(7, b"k" * length) + encode.ready_for_query(b"I"))
    assert (True, b"k" * length) == (login.done, login.secret)


@pytest.mark.parametrize("length", [0, 3, 257])
def test_keys_that_cannot_be(length: int) -> None:
    key = b"K" + (8 + length).to_bytes(4) + b"\0\0\0\7" + b"k" * length
    with pytest.raises(ProtocolError, match="cancel key"):
        login_of().receive(OK + key)


def test_notices_and_what_comes_after_the_end() -> None:
    login = login_of()
    late = encode.parameter_status("in_hot_standby", "off")
    data = encode.notice("early") + OK + encode.notice("late") + READY + late + b"S\0\0"
    assert b"" == login.receive(data)
    assert "off" == login.parameters["in_hot_standby"]
    assert (b"S\0\0", b"") == (login.unread, login.unread)


@pytest.mark.parametrize(
    ("message", "fine"),
    [
        (encode.negotiate_protocol_version(0), True),
        (encode.negotiate_protocol_version(2), False),
        (encode.negotiate_protocol_version(0, ["_pq_.x"]), False),
    ],
)
def test_negotiate_protocol_version(message: bytes, fine: bool) -> None:
    login = login_of()
    if fine:
        login.receive(message + OK + READY)
        assert login.done
        return
    with pytest.raises(ProtocolError, match=r"was asked for 3\.0"):
        login.receive(message)


def test_startup_options() -> None:
    startup = (("application_name", "mine"), ("options", "-c x=1"))
    target = Target("db", 5432, "shop", "ann", options=ConnectOptions(startup=startup))
    expected = {"user": "ann", "database": "shop", "application_name": "mine", "options": "-c x=1"}
    assert encode.startup(expected) == BackendLogin(target).first()


@pytest.mark.parametrize(
    "data",
    [
        encode.notice("x" * 1000) * 1100,
        b"E" + (900 << 20).to_bytes(4) + b"SFATAL\0" + b"x" * MAX_LOGIN_BYTES,
        OK + encode.parameter_status("name", "x" * 20_000) * 60,
    ],
    ids=["many messages", "one long message", "after the authentication"],
)
def test_a_login_has_a_limit(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="more than 1048576 bytes"):
        in_pieces(login_of(), data)


def in_pieces(login: BackendLogin, data: bytes) -> None:
    for start in range(0, len(data), 65536):
        login.receive(data[start : start + 65536])


def test_a_long_message_of_a_refusal_is_cut() -> None:
    with pytest.raises(ServerRefused) as caught:
        login_of().receive(encode.error_fields("FATAL", "28000", "x" * 5000))
    assert len(caught.value.message) < 600


def test_one_challenge_a_login() -> None:
    """Each costs up to a million rounds of SHA-256."""
    login = login_of()
    server = ScramServer("ann", "secret", mock_key=b"k" * 32)
    decoder = FrontendDecoder()
    decoder.receive_data(login_of().first())
    decoder.next_event()
    decoder.receive_data(login.receive(SASL))
    first = decoder.next_event()
    assert isinstance(first, m.AuthenticationResponse)
    initial = m.SASLInitialResponse.parse(first.data)
    challenge = encode.authentication_sasl_continue(
        server.receive_first(initial.mechanism, initial.data)
    )
    login.receive(challenge)
    with pytest.raises(ProtocolError, match="second authentication"):
        login.receive(challenge)


# Which server it is, and connect_query

ANSWER = b"T\0\0\0\6\0\0"
NEW = {"in_hot_standby": "on", "default_transaction_read_only": "off"}
READY_STANDBY = b"".join(encode.parameter_status(*item) for item in NEW.items()) + READY


def row(value: str) -> bytes:
    return ANSWER + m.DataRow((value.encode(),)).encode() + encode.ready_for_query(b"I")


def test_a_server_that_reports_what_it_is() -> None:
    login = BackendLogin(TARGET, session_attrs="standby")
    assert b"" == login.receive(OK + READY_STANDBY)
    assert login.done
    with pytest.raises(UnsuitableServer, match="target_session_attrs=primary"):
        BackendLogin(TARGET, session_attrs="primary").receive(OK + READY_STANDBY)


def test_a_server_that_must_be_asked() -> None:
    login = BackendLogin(TARGET, session_attrs="primary")
    assert encode.query(b"SELECT pg_catalog.pg_is_in_recovery()") == login.receive(OK + READY)
    login.receive(row("f"))
    assert login.done
    login = BackendLogin(TARGET, session_attrs="read-write")
    login.receive(OK + READY)
    with pytest.raises(UnsuitableServer):
        login.receive(row("on"))


def test_connect_query_comes_last() -> None:
    login = BackendLogin(TARGET, session_attrs="primary", connect_query="SET a.b = 1")
    login.receive(OK + READY)
    assert encode.query(b"SET a.b = 1") == login.receive(row("f"))
    login.receive(encode.parameter_status("a.b", "1") + encode.ready_for_query(b"I"))
    assert (True, "1") == (login.done, login.parameters["a.b"])


def test_results_that_nobody_asked_for() -> None:
    with pytest.raises(ProtocolError, match="DataRow during the login"):
        BackendLogin(TARGET).receive(OK + m.DataRow((b"x",)).encode())


# Channel binding and require_auth


def options(**values: Any) -> Target:
    return Target("db", 5432, "shop", "ann", "secret", options=ConnectOptions(**values))


PLUS = encode.authentication_sasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])


@pytest.mark.parametrize(
    ("binding", "offered", "tls", "flag"),
    [
        ("prefer", PLUS, True, b"p=tls-server-end-point,,"),
        ("require", PLUS, True, b"p=tls-server-end-point,,"),
        ("disable", PLUS, True, b"n,,"),
        ("prefer", PLUS, False, b"n,,"),
        ("prefer", SASL, True, b"y,,"),
        ("require", SASL, True, b""),
        ("require", PLUS, False, b""),
    ],
)
def test_the_channel_binding_flag(
    binding: str, offered: bytes, tls: bool, flag: bytes, server_cert: Pair
) -> None:
    certificate = server_cert.der if tls else b""
    login = BackendLogin(options(channel_binding=binding), certificate=certificate)
    if flag:
        assert flag in login.receive(offered)
        return
    with pytest.raises(AuthenticationError, match="does not bind"):
        login.receive(offered)


@pytest.mark.parametrize(
    "asked", [OK, encode.authentication_cleartext(), encode.authentication_md5(b"salt")]
)
def test_binding_that_is_required_lets_nothing_else_pass(asked: bytes) -> None:
    login = BackendLogin(options(channel_binding="require"), certificate=b"")
    with pytest.raises(AuthenticationError, match="does not bind"):
        login.receive(asked)


@pytest.mark.parametrize(
    ("methods", "asked"),
    [
        ({"scram-sha-256"}, OK),
        ({"scram-sha-256"}, encode.authentication_cleartext()),
        ({"none"}, SASL),
        ({"md5"}, b"R\0\0\0\x08\0\0\0\x07"),
    ],
)
def test_require_auth(methods: set[str], asked: bytes) -> None:
    login = BackendLogin(options(methods=frozenset(methods)))
    with pytest.raises(AuthenticationError, match="require_auth forbids"):
        login.receive(asked)


def test_an_md5_secret_and_keys() -> None:
    secret = md5_secret("ann", "secret")
    login = BackendLogin(Target("db", 5432, "shop", "ann", md5=secret))
    answer = login.receive(encode.authentication_md5(b"salt"))
    assert encode.password(md5_response(secret, b"salt")) == answer
    keys = ScramKeys(b"c" * 32, b"s" * 32)
    login = BackendLogin(Target("db", 5432, "shop", "ann", keys=keys))
    assert b"SCRAM-SHA-256" in login.receive(SASL)
    with pytest.raises(AuthenticationError, match="wants a password"):
        BackendLogin(Target("db", 5432, "shop", "ann", keys=keys)).receive(
            encode.authentication_cleartext()
        )
