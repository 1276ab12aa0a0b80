"""Exchanges that login's own tests do not reach: what is malformed, and checked again."""

from __future__ import annotations

import contextlib

import pytest

from dbopt.errors import AuthenticationError, DboptError, ProtocolError
from dbopt.gateway.exchange import (
    MAX_PASSWORD,
    Candidate,
    Exchange,
    Md5Exchange,
    PlainExchange,
    ScramExchange,
    candidate_of,
)
from dbopt.gateway.scram import make_verifier
from dbopt.gateway.userlist import Secret, SecretKind, secret_of
from dbopt.wire.md5 import md5_response, md5_secret

KEY = b"k" * 32
PLAIN = Candidate(Secret(SecretKind.PLAIN, "right"))
SCRAM = candidate_of(secret_of(str(make_verifier("right"))))
MD5 = candidate_of(secret_of(md5_secret("ann", "right")))


def exchanges() -> list[Exchange]:
    return [
        ScramExchange("ann", SCRAM, KEY, b""),
        Md5Exchange("ann", PLAIN),
        PlainExchange("ann", PLAIN),
    ]


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("data", [b"", b"\0", b"right", b"a\0b\0", b"\xff" * 2000, b"md5\0"])
def test_what_is_malformed(number: int, data: bytes) -> None:
    exchange = exchanges()[number]
    with pytest.raises((ProtocolError, AuthenticationError)):
        exchange.receive(data)
    assert not exchange.done
    assert exchange.proven is None


@pytest.mark.parametrize("candidate", [PLAIN, SCRAM, MD5])
def test_the_password_itself(candidate: Candidate) -> None:
    exchange = PlainExchange("ann", candidate)
    with pytest.raises(AuthenticationError):
        exchange.receive(b"wrong\0")
    exchange.receive(b"right\0")
    assert exchange.done


def test_a_verifier_that_would_hold_the_worker_up() -> None:
    """Whoever may set a password may write two thousand million iterations into its verifier."""
    verifier = make_verifier("right", iterations=1)
    text = str(verifier).replace("$1:", "$2000000000:")
    exchange = PlainExchange("ann", candidate_of(secret_of(text)))
    with pytest.raises(AuthenticationError):
        exchange.receive(b"right\0")


def test_a_password_that_would_hold_the_worker_up() -> None:
    """SASLprep is slow, and who has not logged in chooses what it is given."""
    longest = "\u0390" * (MAX_PASSWORD // 2)
    for password, right in ((longest, True), (longest + "x", False)):
        exchange = PlainExchange("ann", candidate_of(secret_of(str(make_verifier(password, 1)))))
        with contextlib.suppress(AuthenticationError):
            exchange.receive(password.encode() + b"\0")
        assert right == exchange.done


def test_a_response_is_checked_against_a_newer_secret() -> None:
    exchange = Md5Exchange("ann", MD5)
    salt = exchange.first()[-4:]
    response = md5_response(md5_secret("ann", "new"), salt) + b"\0"
    with pytest.raises(AuthenticationError):
        exchange.receive(response)
    exchange.check_against(Candidate(Secret(SecretKind.PLAIN, "new")))
    exchange.receive(response)
    assert exchange.done


def test_an_md5_response_says_nothing_of_a_scram_secret() -> None:
    exchange = Md5Exchange("ann", MD5)
    salt = exchange.first()[-4:]
    exchange.check_against(SCRAM)
    with pytest.raises(AuthenticationError):
        exchange.receive(md5_response(md5_secret("ann", "right"), salt) + b"\0")


def test_a_scram_proof_is_for_one_salt() -> None:
    exchange = ScramExchange("ann", SCRAM, KEY, b"")
    assert not exchange.repeatable
    with pytest.raises(AuthenticationError):
        exchange.check_against(SCRAM)


def test_salts_differ() -> None:
    assert 10 == len({Md5Exchange("ann", MD5).first() for _ in range(10)})


def test_a_malformed_verifier() -> None:
    with pytest.raises(DboptError):
        candidate_of(Secret(SecretKind.SCRAM, "SCRAM-SHA-256$x"))


def test_nothing_of_a_secret_is_shown() -> None:
    assert "right" not in repr(PLAIN)
    assert SCRAM.secret is not None
    assert SCRAM.secret.value not in repr(SCRAM)
    assert "stored_key" not in repr(SCRAM)
