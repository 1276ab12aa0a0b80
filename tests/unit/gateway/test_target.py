"""Target: where backends connect to, and as whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dbopt.errors import ConfigError, FeatureNotSupported
from dbopt.gateway.scram import ScramKeys
from dbopt.gateway.target import METHODS, ConnectOptions, Target, Targets, connect_options, targets
from dbopt.gateway.userlist import Secret, SecretKind, Userlist

KEYS = ScramKeys(b"c" * 32, b"s" * 32)
MD5 = "md5" + "0" * 32
USERS = Userlist(
    {
        "ann": Secret(SecretKind.PLAIN, "of ann"),
        "bob": Secret(SecretKind.SCRAM, "SCRAM-SHA-256$..."),
        "mia": Secret(SecretKind.MD5, MD5),
        "sam": Secret(SecretKind.SCRAM, "SCRAM-SHA-256$...", KEYS),
    }
)


def of(user: str = "ann", /, **conninfo: str) -> Targets:
    return targets(conninfo, "shop", user, USERS)


def options(**conninfo: str) -> ConnectOptions:
    return connect_options(conninfo)


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ({"host": "db", "port": "5433"}, [("db", "", 5433)]),
        ({"host": "db"}, [("db", "", 5432)]),
        ({"host": "a,b", "port": "1,2"}, [("a", "", 1), ("b", "", 2)]),
        ({"host": "a,b", "port": ",2"}, [("a", "", 5432), ("b", "", 2)]),
        ({"host": "a, b", "port": "7"}, [("a", "", 7), ("b", "", 7)]),
        ({"host": "db", "hostaddr": "10.0.0.1"}, [("db", "10.0.0.1", 5432)]),
        ({"hostaddr": "10.0.0.1,10.0.0.2"}, [("", "10.0.0.1", 5432), ("", "10.0.0.2", 5432)]),
        ({"host": "/run/pg,db"}, [("/run/pg", "", 5432), ("db", "", 5432)]),
        ({"host": "a,", "port": "1"}, [("a", "", 1), ("localhost", "", 1)]),
        ({"port": "1"}, [("localhost", "", 1)]),
    ],
)
def test_the_addresses(conninfo: dict[str, str], expected: list[tuple[str, str, int]]) -> None:
    assert expected == [(host.host, host.hostaddr, host.port) for host in of(**conninfo).hosts]


@pytest.mark.parametrize(
    ("user", "expected"),
    [
        ("ann", ("of ann", "", None)),
        ("bob", ("", "", None)),
        ("mia", ("", MD5, None)),
        ("sam", ("", "", KEYS)),
        ("zoe", ("", "", None)),
        ("own", ("of own", "", None)),
    ],
)
def test_the_secret_is_the_users_own(user: str, expected: tuple[Any, ...]) -> None:
    (found,) = of(user, host="db", user="own", password="of own").hosts
    assert (user, *expected) == (found.user, found.password, found.md5, found.keys)


@pytest.mark.parametrize(
    ("secret", "expected"),
    [
        (KEYS, ("", "", KEYS)),
        (Secret(SecretKind.PLAIN, "new"), ("new", "", None)),
        (Secret(SecretKind.MD5, MD5), ("", MD5, None)),
        (Secret(SecretKind.SCRAM, "", KEYS), ("", "", KEYS)),
        (None, ("", "", None)),
    ],
)
def test_with_secret(secret: Secret | ScramKeys | None, expected: tuple[Any, ...]) -> None:
    for host in of(host="a,b").with_secret(secret).hosts:
        assert expected == (host.password, host.md5, host.keys)


def test_secrets_are_not_shown() -> None:
    secrets = {"password": "of own", "sslpassword": "of key"}
    for found in (of(host="a,b"), of("own", host="db", user="own", **secrets)):
        assert not [s for s in ("of ann", "of own", "of key") if s in f"{found} {found!r}"]
    assert "a:5432/shop as ann, b:5432/shop as ann" == str(of(host="a,b"))


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (Target("/run/pg", 5432, "shop", "ann"), "/run/pg/.s.PGSQL.5432"),
        (Target("@pg", 5433, "shop", "ann"), "@pg/.s.PGSQL.5433"),
        (Target("db", 5432, "shop", "ann"), ""),
        (Target("/run/pg", 5432, "shop", "ann", hostaddr="10.0.0.1"), ""),
    ],
)
def test_socket_path(target: Target, path: str) -> None:
    assert path == target.socket_path


def test_which_servers_will_do() -> None:
    assert ("any", False) == (of(host="a").session_attrs, of(host="a").load_balance)
    found = of(host="a", target_session_attrs="standby", load_balance_hosts="random")
    assert ("standby", True) == (found.session_attrs, found.load_balance)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", METHODS),
        ("scram-sha-256", {"scram-sha-256"}),
        ("md5, none", {"md5", "none"}),
        ("!password,!md5", METHODS - {"password", "md5"}),
    ],
)
def test_require_auth(text: str, expected: set[str]) -> None:
    assert expected == options(require_auth=text).methods


def test_how_to_connect() -> None:
    found = options(
        keepalives="0", keepalives_idle="7", tcp_user_timeout="9", application_name="x",
        options="-c work_mem=1MB", channel_binding="require", passfile="/x",
    )  # fmt: skip
    assert (False, 7, 9) == (
        found.keepalive.on,
        found.keepalive.idle,
        found.keepalive.user_timeout_ms,
    )
    assert (("application_name", "x"), ("options", "-c work_mem=1MB")) == found.startup
    assert ("require", "/x") == (found.channel_binding, found.passfile)
    assert () == options().startup


@pytest.mark.parametrize(
    "conninfo",
    [
        {"port": "x"},
        {"port": "0"},
        {"port": "65536"},
        {"port": "1,2"},
        {"host": "a,b,c", "port": "1,2"},
        {"host": "a,b", "hostaddr": "10.0.0.1"},
        {"target_session_attrs": "fast"},
        {"load_balance_hosts": "yes"},
        {"channel_binding": "always"},
        {"require_auth": "md5,!none"},
        {"require_auth": "kerberos"},
        {"keepalives_idle": "-1"},
        {"sslmode": "on"},
        {"sslnegotiation": "direct"},
        {"sslnegotiation": "direct", "sslmode": "prefer"},
        {"sslrootcert": "system", "sslmode": "require"},
        {"ssl_min_protocol_version": "SSLv3"},
        {"ssl_min_protocol_version": "TLSv1.3", "ssl_max_protocol_version": "TLSv1.2"},
    ],
    ids=str,
)
def test_what_cannot_be(conninfo: dict[str, str]) -> None:
    with pytest.raises(ConfigError):
        of(**conninfo)


@pytest.mark.parametrize("conninfo", [{"sslcertmode": "require"}, {"gssencmode": "require"}])
def test_what_the_gateway_has_not(conninfo: dict[str, str]) -> None:
    with pytest.raises(FeatureNotSupported):
        of(**conninfo)


# The password file


@pytest.fixture
def passfile(tmp_path: Path) -> str:
    path = tmp_path / "pgpass"
    path.touch(0o600)
    path.write_text("a:5432:shop:zoe:for a\n10.0.0.9:*:*:*:for 9\nlocalhost:*:*:*:local\n")
    return str(path)


@pytest.mark.parametrize(
    ("conninfo", "expected"),
    [
        ({"host": "a"}, "for a"),
        ({"host": "a", "hostaddr": "10.0.0.9"}, "for a"),
        ({"hostaddr": "10.0.0.9"}, "for 9"),
        ({"host": "b"}, ""),
        ({"host": "/var/run/postgresql"}, "local"),
        ({"host": "/run/elsewhere"}, ""),
    ],
)
def test_the_password_of_the_password_file(
    conninfo: dict[str, str], expected: str, passfile: str
) -> None:
    (found,) = of("zoe", passfile=passfile, **conninfo).hosts
    assert ("", expected) == (found.password, found.with_passfile().password)


@pytest.mark.parametrize("user", ["ann", "mia", "sam", "own"])
def test_the_password_file_comes_last(user: str, passfile: str) -> None:
    conninfo = {"host": "localhost", "user": "own", "password": "of own", "passfile": passfile}
    (found,) = of(user, **conninfo).hosts
    assert found == found.with_passfile()
