"""Authenticator: candidates, methods, what was proved, and what the operator is told."""

from __future__ import annotations

import pytest

from dbopt.gateway.auth import MAX_PROVEN, Authenticator
from dbopt.gateway.exchange import (
    Candidate,
    Md5Exchange,
    PlainExchange,
    ScramExchange,
    candidate_of,
)
from dbopt.gateway.scram import ScramKeys, make_verifier
from dbopt.gateway.userlist import Secret, SecretKind, Userlist, secret_of
from dbopt.wire.authentication import SASLInitialResponse
from dbopt.wire.md5 import md5_secret

KEY = b"k" * 32
SCRAM = secret_of(str(make_verifier("x")))
MD5 = secret_of(md5_secret("bob", "x"))
PLAIN = Secret(SecretKind.PLAIN, "x")
KEYS = Secret(SecretKind.SCRAM, SCRAM.value, ScramKeys(b"c" * 32, b"s" * 32))


class Directory:
    def __init__(self) -> None:
        self.answers: dict[tuple[str, str], Candidate] = {}
        self.distrusted: list[tuple[str, str]] = []

    def known(self, database: str, user: str) -> Candidate | None:
        return self.answers.get((database, user))

    def is_old(self, candidate: Candidate) -> bool:
        return candidate.asked > 0

    def distrust(self, database: str, user: str) -> None:
        self.distrusted.append((database, user))


def test_the_user_list_comes_first_and_then_the_directory() -> None:
    directory = Directory()
    auth = Authenticator("scram-sha-256", Userlist({"ann": SCRAM}), KEY, directory)
    found = auth.candidate("shop", "ann")
    assert found is not None
    assert (SCRAM, 0.0) == (found.secret, found.asked)
    assert auth.candidate("shop", "bob") is None
    directory.answers["shop", "bob"] = Candidate(MD5, None, 1.0)
    assert auth.candidate("shop", "bob") is directory.answers["shop", "bob"]
    assert auth.candidate("other", "bob") is None


def test_without_a_directory_nobody_else_is_known() -> None:
    auth = Authenticator("md5", Userlist({"ann": SCRAM}), KEY)
    assert Candidate(None) == auth.candidate("shop", "bob")
    assert not auth.is_old(Candidate(None, None, 1.0))
    auth.failed("shop", "bob")


@pytest.mark.parametrize(
    ("auth_type", "secret", "exchange"),
    [
        ("scram-sha-256", SCRAM, ScramExchange),
        ("scram-sha-256", MD5, ScramExchange),
        ("scram-sha-256", PLAIN, ScramExchange),
        ("scram-sha-256", None, ScramExchange),
        ("md5", SCRAM, ScramExchange),
        ("md5", MD5, Md5Exchange),
        ("md5", PLAIN, Md5Exchange),
        ("plain", SCRAM, PlainExchange),
        ("plain", MD5, PlainExchange),
        ("plain", PLAIN, PlainExchange),
        ("plain", None, PlainExchange),
    ],
)
def test_the_method_by_setting_and_secret(
    auth_type: str, secret: Secret | None, exchange: type
) -> None:
    auth = Authenticator(auth_type, Userlist({}), KEY)
    assert isinstance(auth.exchange("bob", Candidate(secret), b""), exchange)


@pytest.mark.parametrize(
    ("users", "exchange"), [({"a": MD5, "b": PLAIN}, Md5Exchange), ({"a": SCRAM}, ScramExchange)]
)
def test_who_is_unknown_is_asked_as_most_are(users: dict[str, Secret], exchange: type) -> None:
    auth = Authenticator("md5", Userlist(users), KEY)
    assert isinstance(auth.exchange("nobody", Candidate(None), b""), exchange)


def test_a_salt_is_always_the_same() -> None:
    """Else a user with a plain password is told from one without, and from an unknown one."""
    auth = Authenticator("scram-sha-256", Userlist({"ann": PLAIN}), KEY)
    candidate = auth.candidate("shop", "ann")
    assert candidate is not None
    verifiers = {str(auth._with_verifier("ann", candidate).verifier) for _ in range(3)}
    assert 1 == len(verifiers)


def test_what_was_proved_comes_before_the_list() -> None:
    auth = Authenticator("scram-sha-256", Userlist({"ann": SCRAM}), KEY)
    assert SCRAM == auth.server_secret("shop", "ann")
    auth.prove("shop", "ann", KEYS)
    assert KEYS == auth.server_secret("shop", "ann")
    assert SCRAM == auth.server_secret("other", "ann")
    auth.prove("shop", "ann", None)
    assert KEYS == auth.server_secret("shop", "ann")


def test_stale_keys_are_dropped() -> None:
    directory = Directory()
    auth = Authenticator("scram-sha-256", Userlist({}), KEY, directory)
    auth.prove("shop", "ann", KEYS)
    auth.forget("shop", "ann")
    assert auth.server_secret("shop", "ann") is None
    assert [("shop", "ann")] == directory.distrusted


def test_a_reload_keeps_what_was_proved_by_the_same_secret() -> None:
    before = Authenticator("scram-sha-256", Userlist({"ann": SCRAM, "bob": SCRAM}), KEY)
    before.prove("shop", "ann", KEYS)
    before.prove("shop", "bob", KEYS)
    after = Authenticator("scram-sha-256", Userlist({"ann": SCRAM, "bob": PLAIN}), KEY)
    after.remember(before)
    assert KEYS == after.server_secret("shop", "ann")
    assert PLAIN == after.server_secret("shop", "bob")


def test_what_is_kept_is_bounded() -> None:
    auth = Authenticator("plain", Userlist({}), KEY)
    for number in range(MAX_PROVEN + 1):
        auth.prove(f"db{number}", "ann", PLAIN)
    assert auth.server_secret("db0", "ann") is None
    assert PLAIN == auth.server_secret(f"db{MAX_PROVEN}", "ann")


def test_what_is_proved_again_drives_nothing_out_and_is_kept_for_longer() -> None:
    auth = Authenticator("plain", Userlist({}), KEY)
    for number in range(MAX_PROVEN):
        auth.prove(f"db{number}", "ann", PLAIN)
    auth.prove("db0", "ann", PLAIN)
    assert PLAIN == auth.server_secret("db1", "ann")
    auth.prove("new", "ann", PLAIN)
    assert (PLAIN, None) == (auth.server_secret("db0", "ann"), auth.server_secret("db1", "ann"))


def test_md5_secrets_under_scram_are_warned_about() -> None:
    users = Userlist({f"u{n}": MD5 for n in range(7)} | {"ann": SCRAM})
    (warning,) = Authenticator("scram-sha-256", users, KEY).warnings()
    assert "u0, u1, u2, u3, u4 and 2 more cannot log in" in warning
    assert [] == Authenticator("md5", users, KEY).warnings()
    assert [] == Authenticator("scram-sha-256", Userlist({"ann": SCRAM}), KEY).warnings()


def iterations(auth: Authenticator, user: str, candidate: Candidate) -> bytes:
    """What a client of that name is told, e.g. b"4096"."""
    exchange = auth.exchange(user, candidate, b"")
    first = SASLInitialResponse("SCRAM-SHA-256", b"n,,n=,r=abc").encode()[5:]
    return exchange.receive(first).rpartition(b",i=")[2]


def test_who_does_not_exist_has_as_many_iterations_as_who_does() -> None:
    verifiers = [str(make_verifier("x", count)) for count in (10_000, 10_000, 4096)]
    users = {f"u{n}": secret_of(text) for n, text in enumerate(verifiers)}
    listed = Authenticator("scram-sha-256", Userlist(users), KEY)
    assert b"10000" == iterations(listed, "nobody", Candidate(None))
    assert b"4096" == iterations(Authenticator("md5", Userlist({}), KEY), "x", Candidate(None))


def test_the_iterations_of_auth_query_serve_too() -> None:
    asking = Authenticator("scram-sha-256", Userlist({}), KEY, Directory())
    for count in (9000, 1):  # the first counts: a number that changes would tell, too
        found = candidate_of(secret_of(str(make_verifier("x", count))), 1.0)
        assert b"%d" % count == iterations(asking, "ann", found)
    assert b"9000" == iterations(asking, "nobody", Candidate(None, None, 1.0))
