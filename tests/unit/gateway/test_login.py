"""Login: a client's way in, step by step, without I/O."""

from __future__ import annotations

import pytest

from dbopt.errors import AuthenticationError, DboptError, FeatureNotSupported, ProtocolError
from dbopt.gateway.login import Login, Verifiers
from dbopt.gateway.scram import ScramClient, make_verifier
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.codec import BackendDecoder
from dbopt.wire.scan import messages as scan

TRUST = Verifiers(None, b"k" * 32)
SCRAM = Verifiers({"ann": make_verifier("secret"), "md5": None}, b"k" * 32)
STARTUP = encode.startup({"user": "ann", "database": "shop", "application_name": "web"})


def one(data: bytes) -> object:
    decoder = BackendDecoder()
    decoder.receive_data(data)
    return decoder.next_event()


def prove(login: Login, user: str, password: str) -> bytes:
    """Go through SCRAM; gives the last answer."""
    offer = one(login.receive(encode.startup({"user": user})))
    assert isinstance(offer, m.AuthenticationSASL)
    client = ScramClient(password, offered=tuple(offer.mechanisms))
    answer = login.receive(encode.sasl_initial_response(client.mechanism, client.first()))
    challenge = one(answer)
    assert isinstance(challenge, m.AuthenticationSASLContinue)
    return login.receive(encode.sasl_response(client.final(challenge.data)))


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_who_is_trusted_is_in_at_once(size: int) -> None:
    login = Login(TRUST)
    answers = [login.receive(STARTUP[i : i + size]) for i in range(0, len(STARTUP), size)]
    assert encode.authentication_ok() == b"".join(answers)
    assert (True, "ann", "shop") == (login.done, login.user, login.database)
    assert "web" == login.parameters["application_name"]


def test_a_password() -> None:
    login = Login(SCRAM)
    answer = prove(login, "ann", "secret")
    assert [ord("R"), ord("R")] == [kind for kind, _, _ in scan(answer)]
    assert login.done
    assert ("ann", "ann") == (login.user, login.database)


@pytest.mark.parametrize(
    ("user", "password"), [("ann", "wrong"), ("nobody", "secret"), ("md5", "secret")]
)
def test_wrong_passwords_and_unknown_users_fail_alike(user: str, password: str) -> None:
    login = Login(SCRAM)
    with pytest.raises(AuthenticationError) as caught:
        prove(login, user, password)
    assert not login.done
    message = caught.value.message.replace(user, "X")
    with pytest.raises(AuthenticationError) as other:
        prove(Login(SCRAM), "ann", "other")
    assert other.value.message.replace("ann", "X") == message
    assert password not in message


def test_encryption_is_declined_and_asked_no_more() -> None:
    login = Login(TRUST)
    assert b"N" == login.receive(encode.ssl_request())
    assert encode.authentication_ok() == login.receive(STARTUP)


def test_what_follows_is_left_for_the_session() -> None:
    login = Login(TRUST)
    login.receive(STARTUP + b"Q\0\0\0\x05")
    assert (True, 5) == (login.done, login.rest)


def test_a_cancel_request() -> None:
    login = Login(SCRAM)
    assert b"" == login.receive(encode.cancel_request(7, b"abcd"))
    assert login.cancel is not None
    assert (7, b"abcd") == (login.cancel.pid, login.cancel.secret)
    assert not login.done


def test_a_newer_protocol_is_negotiated_down() -> None:
    login = Login(TRUST)
    answer = login.receive(encode.startup({"user": "ann", "_pq_.x": "1"}, 3 << 16 | 2))
    expected = encode.negotiate_protocol_version(0, ["_pq_.x"]) + encode.authentication_ok()
    assert expected == answer


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (encode.startup({"database": "shop"}), AuthenticationError),
        (encode.startup({"user": "ann", "replication": "database"}), FeatureNotSupported),
        (encode.startup({"user": "ann"}, 2 << 16), DboptError),
        (b"\0\0\0\0", ProtocolError),
        (b"\x7f\xff\xff\xff", ProtocolError),
        (STARTUP + encode.query(b"SELECT 1"), ProtocolError),
        (STARTUP + encode.password(b"secret"), DboptError),
    ],
)
def test_what_is_refused(data: bytes, error: type[DboptError]) -> None:
    login = Login(SCRAM)
    with pytest.raises(error):
        login.receive(data)
    assert not login.done


@pytest.mark.parametrize("value", ["", "off", "FALSE", "no", "0"])
def test_no_replication_is_no_hindrance(value: str) -> None:
    login = Login(TRUST)
    login.receive(encode.startup({"user": "ann", "replication": value}))
    assert login.done
