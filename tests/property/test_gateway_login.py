"""Login: whatever comes, in whatever pieces, nobody gets in who should not, and nothing breaks."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbopt.errors import DboptError
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.exchange import Candidate
from dbopt.gateway.login import Encryption, Login, Step
from dbopt.gateway.scram import make_verifier
from dbopt.gateway.userlist import Secret, SecretKind, Userlist, secret_of
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.md5 import md5_secret
from tests.support import examples

KEY = b"k" * 32
USERS = Userlist(
    {
        "scram": secret_of(str(make_verifier("right", iterations=1))),
        "md5": secret_of(md5_secret("md5", "right")),
        "plain": Secret(SecretKind.PLAIN, "right"),
    }
)
SECRET = Secret(SecretKind.PLAIN, "right")
METHODS = ("scram-sha-256", "md5", "plain")
user_names = st.sampled_from([*USERS, "nobody", "eve"])
packets = st.one_of(
    st.builds(lambda user: encode.startup({"user": user}), user_names),
    st.sampled_from(
        [
            encode.ssl_request(),
            m.GSSENCRequest().encode(),
            encode.password(b"wrong"),
            encode.password(b"md5" + b"0" * 32),
            encode.sasl_initial_response("SCRAM-SHA-256", b"n,,n=,r=abc"),
            encode.sasl_initial_response("SCRAM-SHA-256-PLUS", b"p=tls-server-end-point,,n=,r=abc"),
            encode.sasl_response(b"c=biws,r=abc,p=" + b"A" * 43 + b"="),
            encode.query(b"SELECT 1"),
            encode.startup({"user": "plain", "_pq_.x": "1"}, 3 << 16 | 9),
            encode.startup({"user": "plain"}, 2 << 16),
        ]
    ),
    st.binary(max_size=30),
)


class Directory:
    """Knows eve, whose answer is old."""

    def known(self, database: str, user: str) -> Candidate | None:
        return Candidate(SECRET, None, 1.0) if user == "eve" else None

    def is_old(self, candidate: Candidate) -> bool:
        return candidate.asked == 1.0

    def distrust(self, database: str, user: str) -> None:
        pass


def drive(login: Login, data: bytes, sizes: list[int]) -> None:
    """Feed it in pieces; do what it waits for as one who knows of nobody new."""
    position = 0
    while position < len(data) and login.step not in (Step.DONE, Step.CANCEL):
        size = sizes[position % len(sizes)]
        login.receive(data[position : position + size])
        position += size
        if login.step is Step.TLS:
            login.take_rest()
            login.encrypted(b"hash")
        elif login.step is Step.SECRET:
            login.found(Candidate(None, None, 2.0))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("offered", [True, False])
@settings(deadline=None, max_examples=examples(60))
@given(
    data=st.lists(packets, min_size=1, max_size=6).map(b"".join),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
)
def test_nobody_gets_in_without_the_password(
    method: str, offered: bool, data: bytes, sizes: list[int]
) -> None:
    login = Login(Authenticator(method, USERS, KEY, Directory()), Encryption(offered=offered))
    with contextlib.suppress(DboptError):
        drive(login, data, sizes)
    assert login.step is not Step.DONE
    assert login.proven is None


@settings(deadline=None, max_examples=examples(60))
@given(
    before=st.lists(st.sampled_from([encode.ssl_request(), m.GSSENCRequest().encode()]),
                    max_size=2, unique=True),
    sizes=st.lists(st.integers(1, 60), min_size=1, max_size=4),
)  # fmt: skip
def test_the_password_gets_in_however_it_is_cut(before: list[bytes], sizes: list[int]) -> None:
    login = Login(Authenticator("plain", USERS, KEY))
    for request in before:
        for start in range(0, len(request), sizes[0]):
            login.receive(request[start : start + sizes[0]])
    drive(login, encode.startup({"user": "md5"}) + encode.password(b"right"), sizes)
    assert login.step is Step.DONE
