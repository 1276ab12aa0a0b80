"""BackendLogin: the gateway's way into the server, step by step, without I/O."""

from __future__ import annotations

import pytest

from dbopt.errors import AuthenticationError, DboptError, ProtocolError, ServerRefused
from dbopt.gateway.backend_login import BackendLogin
from dbopt.gateway.scram import ScramServer
from dbopt.gateway.target import Target
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.codec import FrontendDecoder
from dbopt.wire.md5 import md5_response, md5_secret

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
    expected = {"user": "ann", "database": "shop", "application_name": "dbopt"}
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
