"""SCRAM with any password, and with any garbage."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.errors import AuthenticationError, ProtocolError
from dbopt.gateway.scram import ScramClient, ScramServer, make_verifier, parse_verifier
from tests.support import examples

KEY = b"k" * 32
passwords = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
garbage = st.binary(max_size=80) | st.text("nyp=,rscvie:AZaz09+/ ", max_size=80).map(str.encode)


@settings(deadline=None, max_examples=examples(50))
@given(passwords, passwords)
def test_the_right_password_and_no_other(password: str, other: str) -> None:
    verifier = make_verifier(password, iterations=1)
    client, server = ScramClient(password), ScramServer("a", verifier, mock_key=KEY)
    challenge = server.receive_first(client.mechanism, client.first())
    client.verify(server.receive_final(client.final(challenge)))
    if make_verifier(other, 1, verifier.salt) != verifier:
        client, server = ScramClient(other), ScramServer("a", verifier, mock_key=KEY)
        challenge = server.receive_first(client.mechanism, client.first())
        with pytest.raises(AuthenticationError):
            server.receive_final(client.final(challenge))


@given(garbage, garbage)
def test_a_server_takes_any_garbage(first: bytes, final: bytes) -> None:
    server = ScramServer("a", None, mock_key=KEY)
    try:
        server.receive_first("SCRAM-SHA-256", first)
        server.receive_final(final)
    except (ProtocolError, AuthenticationError):
        return
    raise AssertionError("nobody can log in as a user without a password")


@given(garbage, st.booleans())
def test_a_client_takes_any_garbage(message: bytes, is_prefixed: bool) -> None:
    client = ScramClient("x", nonce="n")
    with pytest.raises((ProtocolError, AuthenticationError)):
        client.verify(b"v=" + message if is_prefixed else message)
    try:
        client.final(b"r=nx,s=AAAA,i=1" + message if is_prefixed else message)
    except ProtocolError:
        return
    assert is_prefixed


@given(st.text(max_size=80))
def test_a_verifier_is_read_or_refused(text: str) -> None:
    with pytest.raises(ProtocolError):
        parse_verifier("SCRAM-SHA-256$" + text)
