"""What is allowed alone, and not together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dbopt.configcheck import is_loopback
from dbopt.configfile import load
from dbopt.errors import ConfigError

CERTIFIED = 'gateway.tls_cert = "c"\ngateway.tls_key = "k"'

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(text: str) -> Path:
        path = tmp_path / "config.toml"
        path.write_text(text, encoding="utf-8")
        return path

    return written


def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "pool.min_size = 30",
            "1: pool.min_size: found 30; allowed is at most pool.max_size, 20. Lower pool.min_size "
            "or raise pool.max_size.",
        ),
        (
            'gateway.auth_type = "scram-sha-256"',
            '1: gateway.auth_type: found "scram-sha-256" without gateway.userlist and without',
        ),
        (
            'gateway.host = "0.0.0.0"',
            '1: gateway.host: found "0.0.0.0", which is not loopback, with gateway.auth_type',
        ),
        ('gateway.host = ""', "1: gateway.host: is empty, and so is gateway.unix_socket_dir"),
        (
            'gateway.port = 0\ngateway.host = ""\ngateway.unix_socket_dir = "/run"',
            "1: gateway.port: found 0; without TCP allowed is 1 to 65535",
        ),
        (
            'gateway.auth_type = "md5"',
            '1: gateway.auth_type: found "md5" without gateway.userlist and without gateway.auth',
        ),
        (
            'gateway.auth_type = "plain"\ngateway.host = "10.0.0.1"\ngateway.userlist = "u"',
            '1: gateway.auth_type: found "plain", which sends passwords as they are, on an address',
        ),
        (
            'gateway.tls_mode = "allow"',
            '1: gateway.tls_mode: found "allow" without gateway.tls',
        ),
        (
            'gateway.tls_mode = "require"\ngateway.tls_cert = "c"',
            '1: gateway.tls_mode: found "require" without gateway.tls_key.',
        ),
        (
            f'gateway.tls_mode = "verify-ca"\n{CERTIFIED}',
            '1: gateway.tls_mode: found "verify-ca" without gateway.tls_ca.',
        ),
        (
            "pool.max_db_connections = 1",
            "default: pool.min_size: found 2; allowed is at most pool.max_db_connections, 1.",
        ),
        (
            "[pool]\nmin_size = 5\nmax_user_connections = 4",
            "2: pool.min_size: found 5; allowed is at most pool.max_user_connections, 4.",
        ),
        (
            '[pool]\nmode = "statement"\ntransaction_timeout = 5',
            '3: pool.transaction_timeout: found 5 with pool.mode "statement", which has no trans',
        ),
        (
            '[pool]\ntrack_settings = "search_path, no name"',
            '2: pool.track_settings: found "no name", which is no name of a setting.',
        ),
        (
            '[pool]\nreset = "always"\nreset_query = " "',
            '3: pool.reset_query: is empty, with pool.reset "always"',
        ),
        (
            "[databases.app]\nmin_size = 21",
            "2: databases.app.min_size: found 21; allowed is at most max_size, 20. Lower",
        ),
        (
            '[databases."*"]\nmax_size = 3\nmin_size = 4',
            "3: databases.*.min_size: found 4; allowed is at most max_size, 3.",
        ),
        (
            "[databases.app]\nmin_size = 4\nmax_db_connections = 3",
            "2: databases.app.min_size: found 4; allowed is at most max_db_connections, 3.",
        ),
        (
            '[databases.app]\nmode = "statement"\ntransaction_timeout = 5',
            "3: databases.app.transaction_timeout: found 5 with databases.app.mode",
        ),
        (
            '[pool]\nreset_query = ""\n[databases.app]\nreset = "always"',
            'default: databases.app.reset_query: is empty, with databases.app.reset "always"',
        ),
        (
            '[databases.app]\ntrack_settings = ","',
            '2: databases.app.track_settings: found "", which is no name',
        ),
        (
            '[databases.app]\nport = "5432x"',
            '2: databases.app.port: found "5432x"; allowed is 1 to 65535, or a list',
        ),
        ("[databases.app]\nport = 65536", '2: databases.app.port: found "65536"; allowed is 1'),
        ("[databases.app]\nport = 0", '2: databases.app.port: found "0"; allowed is 1'),
        (
            '[databases.app]\nport = "99999999999999999999"',
            '2: databases.app.port: found "99999999999999999999"; allowed',
        ),
        (
            '[databases.app]\nport = "1,2"\nhost = "a,b,c"',
            "2: databases.app.port: names 2 ports for 3 hosts.",
        ),
        (
            '[databases.app]\npassword = "hunter2"',
            "2: databases.app.password: is there without databases.app.user, whose password",
        ),
        ('[databases.""]', "default: databases.: has a name that no client can give."),
        ('[users."a\\u0000"]', "default: users.a\0: has a name that no client can give."),
        (
            "[users.app]\nmin_size = 2\nmax_size = 1",
            "2: users.app.min_size: found 2; allowed is at most max_size, 1.",
        ),
    ],
)
def test_what_cannot_be_true_together(text: str, said: str, write: Write) -> None:
    path = write(text)
    where = "" if said.startswith("default") else f"{path}:"
    assert refusal(path).startswith(f"{where}{said}")


def test_a_default_that_cannot_be_true_any_more(write: Write) -> None:
    assert "default: pool.min_size: found 2" in refusal(write("pool.max_size = 1"))


@pytest.mark.parametrize(
    "text",
    [
        'gateway.host = "0.0.0.0"\ngateway.trust_remote = true',
        'gateway.host = "0.0.0.0"\ngateway.auth_type = "scram-sha-256"\ngateway.userlist = "u"',
        'gateway.host = ""\ngateway.unix_socket_dir = "/run"',
        'gateway.host = "127.8.8.8"',
        "pool.min_size = 0\npool.max_size = 1",
        'gateway.auth_type = "md5"\ngateway.auth_query = "SELECT $1, \'x\'"',
        'gateway.auth_type = "plain"\ngateway.userlist = "u"',
        f'gateway.tls_mode = "require"\n{CERTIFIED}',
        f'gateway.tls_mode = "verify-full"\ngateway.tls_ca = "a"\n{CERTIFIED}',
        'gateway.auth_type = "plain"\ngateway.userlist = "u"\ngateway.host = "::"\n'
        f'gateway.tls_mode = "require"\n{CERTIFIED}',
        "databases.app.max_size = 1",
        "users.app.max_size = 1",
        'databases.app.mode = "statement"\npool.transaction_timeout = 5',
        'databases.app.port = "5432"\ndatabases.app.host = "a,b"',
        'databases.app.port = "1, 2"\ndatabases.app.host = "a,b"',
        'databases.app.port = "5432,"\ndatabases.app.host = "a,b"',
        'pool.track_settings = "search_path, my.setting"',
        'databases.app.password = "x"\ndatabases.app.user = "y"',
    ],
)
def test_what_can_be_true_together(text: str, write: Write) -> None:
    load(write(text))


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("", True),
        ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("example.org", False),  # noqa: S104
        ("localhost.example.org", False), ("*", False),
    ],
)  # fmt: skip
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (["report.daily=7am"], "no time of day"),
        (["report.daily=07:00"], "would go nowhere"),
        (["report.timezone=Mars/Base"], "no such zone"),
        (["report.webhook=http://hooks.example/x"], "not loopback"),
        (["report.webhook=ftp://localhost/"], "no URL"),
    ],
)
def test_reports_that_cannot_be(values: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words) as refused:
        load(None, {}, values)
    assert "hooks.example" not in str(refused.value)


def test_a_daily_report() -> None:
    load(None, {}, ["report.daily=07:00", "report.webhook=https://hooks.example/x"])
