from __future__ import annotations

from hashlib import md5

from dbopt.wire.md5 import is_md5, md5_matches, md5_response, md5_secret


def digest(data: bytes) -> bytes:
    return md5(data, usedforsecurity=False).hexdigest().encode()


def test_the_documentations_formula() -> None:
    # concat('md5', md5(concat(md5(concat(password, username)), random-salt)))
    inner = digest(b"secretalice")
    expected = b"md5" + digest(inner + b"\1\2\3\4")
    assert expected == md5_response(md5_secret("alice", "secret"), b"\1\2\3\4")


def test_a_known_secret() -> None:
    # SELECT 'md5' || md5('postgres' || 'postgres')
    assert md5_secret("postgres", "postgres") == "md53175bce1d3201d16594cebf9d7eb3f9d"


def test_matches() -> None:
    secret = md5_secret("alice", "secret")
    assert md5_matches(secret, b"salt", md5_response(secret, b"salt"))
    assert not md5_matches(secret, b"salt", md5_response(secret, b"SALT"))
    assert not md5_matches(secret, b"salt", b"\xff")


def test_is_md5() -> None:
    assert is_md5("md5" + "0" * 32)
    assert not is_md5("md5" + "0" * 31)
    assert not is_md5("md5" + "A" * 32)
    assert not is_md5("md5" + "0" * 32 + "\n")
