from __future__ import annotations

import base64

import pytest

from dbopt.errors import AuthenticationError, ProtocolError
from dbopt.gateway.scram import (
    MAX_ITERATIONS,
    SCRAM_SHA_256,
    SCRAM_SHA_256_PLUS,
    ScramClient,
    ScramServer,
    ScramVerifier,
    make_verifier,
    mock_salt,
    parse_verifier,
)

MOCK_KEY = b"k" * 32
CERTIFICATE_HASH = b"h" * 32

# RFC 7677, section 3.
C_NONCE = "rOprNGfwEbeRWgbNEkqO"
S_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALT = base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ==")
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_FIRST = (
    b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
)
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
    b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def server_of(secret: ScramVerifier | str | None, **options: bytes) -> ScramServer:
    return ScramServer("alice", secret, mock_key=MOCK_KEY, **options)


def exchange(client: ScramClient, server: ScramServer) -> None:
    challenge = server.receive_first(client.mechanism, client.first())
    client.verify(server.receive_final(client.final(challenge)))


def test_rfc_7677_client() -> None:
    client = ScramClient("pencil", user="user", nonce=C_NONCE)
    assert client.first() == CLIENT_FIRST
    assert client.final(SERVER_FIRST) == CLIENT_FINAL
    client.verify(SERVER_FINAL)


def test_rfc_7677_server() -> None:
    verifier = make_verifier("pencil", salt=SALT)
    server = ScramServer("user", verifier, mock_key=MOCK_KEY, nonce=S_NONCE)
    assert server.receive_first(SCRAM_SHA_256, CLIENT_FIRST) == SERVER_FIRST
    assert server.receive_final(CLIENT_FINAL) == SERVER_FINAL


@pytest.mark.parametrize("password", ["secret", "é", "\u00aa", "\x01", "\u0627a", "a\u00adb", " "])
def test_client_against_server(password: str) -> None:
    exchange(ScramClient(password), server_of(password))
    exchange(ScramClient(password), server_of(make_verifier(password, iterations=1)))


def test_saslprep_makes_equal_what_looks_equal() -> None:
    exchange(ScramClient("\u2168\u00a0x"), server_of("IX x"))


def test_wrong_password() -> None:
    with pytest.raises(AuthenticationError, match='authentication failed for user "alice"'):
        exchange(ScramClient("wrong"), server_of("secret"))


def test_unknown_user_is_like_a_wrong_password() -> None:
    first = [server_of(s).receive_first(SCRAM_SHA_256, CLIENT_FIRST) for s in ("x", None, None)]
    salts = {message.split(b",", 1)[1] for message in first}
    assert len(salts) == 1
    errors = set()
    for secret in ("secret", None):
        with pytest.raises(AuthenticationError) as caught:
            exchange(ScramClient("wrong"), server_of(secret))
        errors.add(str(caught.value))
    assert len(errors) == 1


def test_mock_salt_differs_by_user_and_by_key() -> None:
    salts = {mock_salt(MOCK_KEY, "a"), mock_salt(MOCK_KEY, "b"), mock_salt(b"x" * 32, "a")}
    assert [len(salt) for salt in salts] == [16, 16, 16]


def test_the_keys_of_a_client_log_in_elsewhere() -> None:
    verifier = make_verifier("secret")
    gateway = server_of(verifier)
    exchange(ScramClient("secret"), gateway)
    exchange(ScramClient(gateway.keys), server_of(verifier))


def test_there_are_no_keys_before_the_end() -> None:
    with pytest.raises(AuthenticationError, match="not over"):
        _ = server_of("secret").keys


def test_channel_binding() -> None:
    server = server_of("secret", channel_binding=CERTIFICATE_HASH)
    client = ScramClient("secret", offered=server.mechanisms, channel_binding=CERTIFICATE_HASH)
    assert client.mechanism == SCRAM_SHA_256_PLUS
    exchange(client, server)


def test_channel_binding_to_another_certificate() -> None:
    server = server_of("secret", channel_binding=b"x" * 32)
    client = ScramClient("secret", offered=server.mechanisms, channel_binding=CERTIFICATE_HASH)
    with pytest.raises(ProtocolError, match="does not belong"):
        exchange(client, server)


def test_a_downgrade_of_channel_binding_is_seen() -> None:
    client = ScramClient("secret", channel_binding=CERTIFICATE_HASH)  # PLUS was hidden from it
    assert client.first().startswith(b"y,,")
    with pytest.raises(ProtocolError, match="believes that channel binding is not offered"):
        exchange(client, server_of("secret", channel_binding=CERTIFICATE_HASH))
    exchange(ScramClient("secret", channel_binding=CERTIFICATE_HASH), server_of("secret"))


def test_no_mechanism_fits() -> None:
    with pytest.raises(AuthenticationError, match="no SASL mechanism"):
        ScramClient("secret", offered=(SCRAM_SHA_256_PLUS, "OAUTHBEARER"))


@pytest.mark.parametrize(
    "message",
    [
        None,
        b"",
        b"n,,",
        b"n,,n=,r=",
        b"n,,n=,r=a b",
        b"n,a=admin,n=,r=abc",
        b"n,,m=x,n=,r=abc",
        b"x,,n=,r=abc",
        b"p=tls-server-end-point,,n=,r=abc",
        b"n,,n=\xff,r=abc",
        b"n,,n=,r=" + b"a" * 1024,
    ],
)
def test_malformed_client_first(message: bytes | None) -> None:
    with pytest.raises(ProtocolError):
        server_of("secret").receive_first(SCRAM_SHA_256, message)


def test_a_mechanism_that_was_not_offered() -> None:
    with pytest.raises(ProtocolError, match="not offered"):
        server_of("secret").receive_first(SCRAM_SHA_256_PLUS, CLIENT_FIRST)


def test_messages_out_of_order() -> None:
    server = server_of("secret")
    with pytest.raises(ProtocolError, match="does not belong"):
        server.receive_final(CLIENT_FINAL)
    server.receive_first(SCRAM_SHA_256, CLIENT_FIRST)
    with pytest.raises(ProtocolError, match="a second"):
        server.receive_first(SCRAM_SHA_256, CLIENT_FIRST)
    with pytest.raises(ProtocolError, match="too early"):
        ScramClient("secret").verify(SERVER_FINAL)


@pytest.mark.parametrize(
    "change",
    [
        lambda final: final.replace(b"c=biws", b"c=eSws"),  # y,, instead of n,,
        lambda final: final.replace(b"r=", b"r=x"),
        lambda final: final.split(b",p=")[0],
        lambda final: final.split(b",p=")[0] + b",p=AAAA",
        lambda final: final + b"A",
        lambda final: b"\xff",
    ],
)
def test_malformed_client_final(change: object) -> None:
    server = server_of("secret")
    client = ScramClient("secret")
    final = client.final(server.receive_first(SCRAM_SHA_256, client.first()))
    with pytest.raises(ProtocolError):
        server.receive_final(change(final))  # type: ignore[operator]


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"r=other,s=AAAA,i=4096",
        b"r=" + C_NONCE.encode() + b",s=AAAA,i=4096",
        b"r=" + C_NONCE.encode() + b"x,s=AAAA,i=0",
        b"r=" + C_NONCE.encode() + b"x,s=AAAA,i=%d" % (MAX_ITERATIONS + 1),
        b"r=" + C_NONCE.encode() + b"x,s=AAAA,i=99999999999",
        b"r=" + C_NONCE.encode() + b"x,s=A,i=4096",
        b"r=" + C_NONCE.encode() + b"x" * 1024 + b",s=AAAA,i=4096",
        b"m=ext," + SERVER_FIRST,
    ],
)
def test_hostile_server_first(message: bytes) -> None:
    with pytest.raises(ProtocolError):
        ScramClient("pencil", nonce=C_NONCE).final(message)


def test_a_server_that_does_not_know_the_password() -> None:
    client = ScramClient("pencil", user="user", nonce=C_NONCE)
    client.final(SERVER_FIRST)
    with pytest.raises(AuthenticationError, match="does not know the password"):
        client.verify(b"v=AAAA")
    with pytest.raises(AuthenticationError, match="with an error"):
        client.verify(b"e=other-error")
    with pytest.raises(ProtocolError, match="malformed SCRAM server-final-message"):
        client.verify(b"x=")


def test_verifier_as_text() -> None:
    # What PostgreSQL 18 stores for 'pencil' with the RFC's salt.
    verifier = make_verifier("pencil", salt=SALT)
    text = str(verifier)
    assert text.startswith("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZ")
    assert verifier == parse_verifier(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "secret",
        "SCRAM-SHA-256$4096:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$0:AAAA$AAAA:AAAA",
        "SCRAM-SHA-1$4096:AAAA$AAAA:AAAA",
        "SCRAM-SHA-256$4096:A$AAAA:AAAA",
        "SCRAM-SHA-256$4096:AAAA",
    ],
)
def test_malformed_verifier(text: str) -> None:
    with pytest.raises(ProtocolError, match="malformed") as caught:
        parse_verifier(text)
    assert "AAAA" not in str(caught.value)


def test_repr_holds_no_key() -> None:
    assert repr(make_verifier("secret")) == "ScramVerifier(iterations=4096)"
    gateway = server_of("secret")
    exchange(ScramClient("secret"), gateway)
    assert repr(gateway.keys) == "ScramKeys()"
