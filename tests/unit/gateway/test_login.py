"""Login: a client's way in, step by step, without I/O."""

from __future__ import annotations

import pytest

from dbopt.errors import (
    AccessRefused,
    AuthenticationError,
    DboptError,
    FeatureNotSupported,
    ProtocolError,
    UnsupportedProtocol,
)
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.exchange import Candidate, candidate_of
from dbopt.gateway.login import Encryption, Login, Step, refusal
from dbopt.gateway.scram import ScramClient, make_verifier
from dbopt.gateway.userlist import Secret, SecretKind, Userlist, secret_of
from dbopt.wire import encode
from dbopt.wire import messages as m
from dbopt.wire.codec import BackendDecoder
from dbopt.wire.md5 import md5_response, md5_secret
from dbopt.wire.scan import messages as scan

KEY = b"k" * 32
PASSWORD = "s\u00e9cret"
USERS = Userlist(
    {
        "ann": secret_of(str(make_verifier(PASSWORD))),
        "plain": Secret(SecretKind.PLAIN, PASSWORD),
        "md5": secret_of(md5_secret("md5", PASSWORD)),
        "empty": Secret(SecretKind.PLAIN, ""),
        "hollow": secret_of(md5_secret("hollow", "")),
    }
)
TRUST = Authenticator("trust", Userlist({}), KEY)
SCRAM = Authenticator("scram-sha-256", USERS, KEY)
OFFERED = Encryption(offered=True)
REQUIRED = Encryption(offered=True, required=True)
STARTUP = encode.startup({"user": "ann", "database": "shop", "application_name": "web"})
CLIENT_HELLO = b"\x16\x03\x01\x02\0" + b"x" * 50


class Directory:
    """Users of an auth_query, and how old the answers are."""

    def __init__(self, *, old: bool = False) -> None:
        self.answers: dict[str, Candidate] = {}
        self.distrusted: list[tuple[str, str]] = []
        self.old = old

    def known(self, database: str, user: str) -> Candidate | None:
        return self.answers.get(user)

    def is_old(self, candidate: Candidate) -> bool:
        return self.old and candidate.asked > 0

    def distrust(self, database: str, user: str) -> None:
        self.distrusted.append((database, user))


def authenticator(method: str, directory: Directory | None = None) -> Authenticator:
    return Authenticator(method, USERS, KEY, directory)


def one(data: bytes) -> object:
    decoder = BackendDecoder()
    decoder.receive_data(data)
    return decoder.next_event()


def prove(
    login: Login, offer: bytes, user: str, password: str, binding: bytes = b""
) -> tuple[str, bytes]:
    """Answer what `offer` asks for; gives the method and the last answer."""
    match one(offer):
        case m.AuthenticationSASL(mechanisms=mechanisms):
            client = ScramClient(password, offered=tuple(mechanisms), channel_binding=binding)
            answer = login.receive(encode.sasl_initial_response(client.mechanism, client.first()))
            challenge = one(answer)
            assert isinstance(challenge, m.AuthenticationSASLContinue)
            last = login.receive(encode.sasl_response(client.final(challenge.data)))
            return client.mechanism, last
        case m.AuthenticationMD5Password(salt=salt):
            response = md5_response(md5_secret(user, password), salt)
            return "md5", login.receive(encode.password(response))
        case m.AuthenticationCleartextPassword():
            return "plain", login.receive(encode.password(password.encode()))
    raise AssertionError(offer)


def enter(auth: Authenticator, user: str, password: str) -> tuple[str, Login]:
    """Log in; gives the method and the login."""
    login = Login(auth)
    method, last = prove(login, login.receive(encode.startup({"user": user})), user, password)
    assert last.endswith(encode.authentication_ok())
    assert login.step is Step.DONE
    return method, login


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_who_is_trusted_is_in_at_once(size: int) -> None:
    login = Login(TRUST)
    answers = [login.receive(STARTUP[i : i + size]) for i in range(0, len(STARTUP), size)]
    assert encode.authentication_ok() == b"".join(answers)
    assert (Step.DONE, "ann", "shop") == (login.step, login.user, login.database)
    assert "web" == login.parameters["application_name"]


@pytest.mark.parametrize(
    ("auth_type", "user", "method"),
    [
        ("scram-sha-256", "ann", "SCRAM-SHA-256"),
        ("scram-sha-256", "plain", "SCRAM-SHA-256"),
        ("md5", "ann", "SCRAM-SHA-256"),
        ("md5", "plain", "md5"),
        ("md5", "md5", "md5"),
        ("plain", "ann", "plain"),
        ("plain", "plain", "plain"),
        ("plain", "md5", "plain"),
    ],
)
def test_the_right_password(auth_type: str, user: str, method: str) -> None:
    found, login = enter(authenticator(auth_type), user, PASSWORD)
    assert method == found
    assert (user, user) == (login.user, login.database)


@pytest.mark.parametrize(
    ("auth_type", "user"),
    [
        *(("scram-sha-256", user) for user in ("ann", "plain", "md5", "empty", "nobody")),
        *(("md5", user) for user in ("ann", "plain", "md5", "empty", "hollow", "nobody")),
        *(("plain", user) for user in ("ann", "plain", "md5", "empty", "nobody")),
    ],
)
@pytest.mark.parametrize("password", ["wrong", ""])
def test_unknown_user_fails_identically_to_a_wrong_password(
    auth_type: str, user: str, password: str
) -> None:
    with pytest.raises(AuthenticationError) as caught:
        enter(authenticator(auth_type), user, password)
    assert f'password authentication failed for user "{user}"' == caught.value.message
    assert "28P01" == caught.value.sqlstate


def test_an_md5_secret_cannot_log_in_by_scram() -> None:
    with pytest.raises(AuthenticationError):
        enter(SCRAM, "md5", PASSWORD)


def test_what_was_proved_logs_in_to_the_server() -> None:
    proven = {
        (auth_type, user): enter(authenticator(auth_type), user, PASSWORD)[1].proven
        for auth_type in ("scram-sha-256", "md5", "plain")
        for user in ("ann", "plain", "md5")
        if (auth_type, user) != ("scram-sha-256", "md5")
    }
    for (_, user), secret in proven.items():
        assert secret is not None
        assert USERS[user].value == secret.value
        assert (secret.keys is not None) == (user == "ann")


def test_scram_channel_binding() -> None:
    login = Login(SCRAM, OFFERED)
    assert b"S" == login.receive(encode.ssl_request())
    login.encrypted(b"hash of our certificate")
    offer = login.receive(STARTUP)
    method, _ = prove(login, offer, "ann", PASSWORD, b"hash of our certificate")
    assert ("SCRAM-SHA-256-PLUS", Step.DONE) == (method, login.step)


def test_scram_channel_binding_to_another_certificate_is_refused() -> None:
    login = Login(SCRAM, OFFERED)
    login.receive(encode.ssl_request())
    login.encrypted(b"ours")
    with pytest.raises(DboptError):
        prove(login, login.receive(STARTUP), "ann", PASSWORD, b"the man's in the middle")
    assert login.step is not Step.DONE


@pytest.mark.parametrize(
    ("flag", "fine"), [(b"n", True), (b"y", False), (b"p=tls-server-end-point", False)]
)
def test_scram_downgrade_is_found_out(flag: bytes, fine: bool) -> None:
    """A client that could bind, and was told that we cannot, says "y"."""
    login = Login(SCRAM, OFFERED)
    login.receive(encode.ssl_request())
    login.encrypted(b"ours")
    login.receive(STARTUP)
    message = encode.sasl_initial_response("SCRAM-SHA-256", flag + b",,n=,r=abcdef")
    if fine:
        assert isinstance(one(login.receive(message)), m.AuthenticationSASLContinue)
    else:
        with pytest.raises(ProtocolError):
            login.receive(message)


def test_scram_plus_is_not_offered_without_tls() -> None:
    offer = one(Login(SCRAM, OFFERED).receive(STARTUP))
    assert offer == m.AuthenticationSASL(("SCRAM-SHA-256",))


# Encryption


def test_encryption_is_declined_and_asked_no_more() -> None:
    login = Login(TRUST)
    assert b"N" == login.receive(encode.ssl_request())
    assert encode.authentication_ok() == login.receive(STARTUP)


def test_gssencrequest_then_sslrequest() -> None:
    login = Login(TRUST, OFFERED)
    assert b"N" == login.receive(m.GSSENCRequest().encode())
    assert b"S" == login.receive(encode.ssl_request())
    assert login.step is Step.TLS


@pytest.mark.parametrize("request_", [m.SSLRequest(), m.GSSENCRequest()])
@pytest.mark.parametrize("encryption", [Encryption(), OFFERED])
def test_plaintext_buffered_before_tls_cve_2021_3935(
    request_: m.SSLRequest, encryption: Encryption
) -> None:
    login = Login(TRUST, encryption)
    with pytest.raises(ProtocolError):
        login.receive(request_.encode() + STARTUP)
    assert login.step is Step.CLIENT


@pytest.mark.parametrize("request_", [m.SSLRequest(), m.GSSENCRequest()])
def test_several_sslrequests(request_: m.SSLRequest) -> None:
    login = Login(TRUST)
    assert b"N" == login.receive(request_.encode())
    with pytest.raises(ProtocolError):
        login.receive(request_.encode())


@pytest.mark.parametrize("request_", [m.SSLRequest(), m.GSSENCRequest()])
def test_sslrequest_within_tls(request_: m.SSLRequest) -> None:
    login = Login(TRUST, OFFERED)
    login.receive(encode.ssl_request())
    login.encrypted()
    with pytest.raises(ProtocolError):
        login.receive(request_.encode())


def test_direct_tls() -> None:
    login = Login(TRUST, REQUIRED)
    assert b"" == login.receive(CLIENT_HELLO)
    assert login.step is Step.TLS
    assert CLIENT_HELLO == login.take_rest()
    login.encrypted()
    assert encode.authentication_ok() == login.receive(STARTUP)


def test_direct_tls_where_none_is_offered() -> None:
    with pytest.raises(ProtocolError):
        Login(TRUST).receive(CLIENT_HELLO)


@pytest.mark.parametrize("before", [encode.ssl_request()[:3], m.GSSENCRequest().encode()])
def test_direct_tls_in_the_middle_is_no_tls(before: bytes) -> None:
    login = Login(TRUST, OFFERED)
    login.receive(before)
    with pytest.raises(ProtocolError):
        login.receive(CLIENT_HELLO)


def test_plaintext_where_encryption_is_required() -> None:
    login = Login(TRUST, REQUIRED)
    with pytest.raises(AccessRefused) as caught:
        login.receive(STARTUP)
    assert "28000" == caught.value.sqlstate
    assert "SSL required" in caught.value.message


def test_cancel_in_plaintext_where_encryption_is_required() -> None:
    """libpq before 17 sends it so, whatever the connection has."""
    login = Login(SCRAM, REQUIRED)
    login.receive(encode.cancel_request(7, b"abcd"))
    assert login.step is Step.CANCEL


@pytest.mark.parametrize(("name", "fine"), [("ann", True), ("bob", False), ("", False)])
def test_verify_full_wants_the_users_own_name(name: str, fine: bool) -> None:
    login = Login(TRUST, Encryption(offered=True, required=True, own_name=True))
    login.receive(encode.ssl_request())
    login.encrypted(name=name)
    if fine:
        assert encode.authentication_ok() == login.receive(STARTUP)
    else:
        with pytest.raises(AccessRefused, match="certificate"):
            login.receive(STARTUP)


# What the directory (auth_query) knows


def test_a_user_that_must_be_looked_up() -> None:
    login = Login(authenticator("scram-sha-256", Directory()))
    assert b"" == login.receive(encode.startup({"user": "eve"}))
    step = login.step
    assert step is Step.SECRET
    offer = login.found(candidate_of(secret_of(str(make_verifier("x"))), 1.0))
    prove(login, offer, "eve", "x")
    assert login.step is Step.DONE


def test_what_came_early_waits_for_the_look_up() -> None:
    login = Login(authenticator("plain", Directory()))
    early = encode.startup({"user": "eve"}) + encode.password(b"x") + encode.query(b"")
    assert b"" == login.receive(early)
    answer = login.found(Candidate(Secret(SecretKind.PLAIN, "x"), None, 1.0))
    assert encode.authentication_cleartext() + encode.authentication_ok() == answer
    assert encode.query(b"") == login.take_rest()


@pytest.mark.parametrize("auth_type", ["md5", "plain"])
@pytest.mark.parametrize(("password", "fine"), [("new", True), ("other", False)])
def test_a_password_change_is_found_after_a_failed_login(
    auth_type: str, password: str, fine: bool
) -> None:
    directory = Directory(old=True)
    directory.answers["eve"] = Candidate(Secret(SecretKind.PLAIN, "old"), None, 1.0)
    login = Login(authenticator(auth_type, directory))
    offer = login.receive(encode.startup({"user": "eve"}))
    assert b"" == prove(login, offer, "eve", password)[1]
    assert login.step is Step.SECRET
    newer = Candidate(Secret(SecretKind.PLAIN, "new"), None, 100.0)
    if fine:
        assert encode.authentication_ok() == login.found(newer)
    else:
        with pytest.raises(AuthenticationError):
            login.found(newer)


def test_by_scram_it_is_found_by_the_next_login() -> None:
    directory = Directory(old=True)
    directory.answers["eve"] = candidate_of(secret_of(str(make_verifier("old"))), 1.0)
    login = Login(authenticator("scram-sha-256", directory))
    with pytest.raises(AuthenticationError):
        prove(login, login.receive(encode.startup({"user": "eve"})), "eve", "new")
    assert [("eve", "eve")] == directory.distrusted


def test_users_of_the_list_are_not_looked_up() -> None:
    method, _ = enter(authenticator("scram-sha-256", Directory()), "ann", PASSWORD)
    assert "SCRAM-SHA-256" == method


# Startup packets


def test_what_follows_is_left_for_the_session() -> None:
    login = Login(TRUST)
    login.receive(STARTUP + b"Q\0\0\0\x05")
    assert (Step.DONE, b"Q\0\0\0\x05") == (login.step, login.take_rest())


def test_a_cancel_request() -> None:
    login = Login(SCRAM)
    assert b"" == login.receive(encode.cancel_request(7, b"abcd"))
    assert login.cancel is not None
    assert (7, b"abcd") == (login.cancel.pid, login.cancel.secret)
    assert login.step is Step.CANCEL


@pytest.mark.parametrize("minor", [0, 1, 2, 3, 9999])
def test_pq_options_and_newer_protocols_are_negotiated_down(minor: int) -> None:
    login = Login(TRUST)
    answer = login.receive(encode.startup({"user": "ann", "_pq_.x": "1"}, 3 << 16 | minor))
    expected = encode.negotiate_protocol_version(0, ["_pq_.x"]) + encode.authentication_ok()
    assert expected == answer


def test_protocol_2_is_refused_in_its_own_words() -> None:
    with pytest.raises(UnsupportedProtocol) as caught:
        Login(TRUST).receive(encode.startup({"user": "ann"}, 2 << 16))
    told = refusal(caught.value, "0A000")
    assert told.startswith(b"EFATAL:  unsupported frontend protocol 2.0")
    assert told.endswith(b"\n\0")


def test_a_protocol_to_come_is_refused_in_ours() -> None:
    with pytest.raises(UnsupportedProtocol) as caught:
        Login(TRUST).receive(encode.startup({"user": "ann"}, 4 << 16))
    assert isinstance(one(refusal(caught.value, "0A000")), m.ErrorResponse)


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (encode.startup({"database": "shop"}), AuthenticationError),
        (encode.startup({"user": "ann", "replication": "database"}), FeatureNotSupported),
        (b"\0\0\0\0", ProtocolError),
        (b"\x7f\xff\xff\xff", ProtocolError),
        (b"\xff\xff\xff\xff", ProtocolError),
        (STARTUP + encode.query(b"SELECT 1"), ProtocolError),
        (STARTUP + encode.password(b"secret"), DboptError),
    ],
)
def test_what_is_refused(data: bytes, error: type[DboptError]) -> None:
    login = Login(SCRAM)
    with pytest.raises(error):
        login.receive(data)
    assert login.step is not Step.DONE


@pytest.mark.parametrize("value", ["", "off", "FALSE", "no", "0"])
def test_no_replication_is_no_hindrance(value: str) -> None:
    login = Login(TRUST)
    login.receive(encode.startup({"user": "ann", "replication": value}))
    assert login.step is Step.DONE


def test_replies_are_whole_messages() -> None:
    login = Login(SCRAM)
    _, last = prove(login, login.receive(STARTUP), "ann", PASSWORD)
    assert [ord("R"), ord("R")] == [kind for kind, _, _ in scan(last)]
