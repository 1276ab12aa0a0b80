"""Target: where backends connect to, and as whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dbopt.errors import ConfigError, FeatureNotSupported
from dbopt.gateway.target import Target, target
from dbopt.gateway.userlist import Secret, SecretKind, Userlist
from dbopt.settings import Settings

USERS = Userlist(
    {
        "ann": Secret(SecretKind.PLAIN, "of ann"),
        "bob": Secret(SecretKind.SCRAM, "SCRAM-SHA-256$..."),
    }
)


def of(dsn: str, user: str = "ann", **values: Any) -> Target:
    server = replace(Settings().server, dsn=dsn, **values)
    return target(server, "shop", user, USERS)


@pytest.mark.parametrize(
    ("dsn", "host", "port"),
    [
        ("host=db port=5433", "db", 5433),
        ("host=db", "db", 5432),
        ("host=a,b port=1,2", "a", 1),
        ("host=a,b port=,2", "a", 5432),
        ("host=db hostaddr=10.0.0.1", "10.0.0.1", 5432),
        ("hostaddr=10.0.0.1", "10.0.0.1", 5432),
        ("postgresql://db:7/x", "db", 7),
        ("host=/run/pg", "/run/pg", 5432),
    ],
)
def test_the_address(dsn: str, host: str, port: int) -> None:
    assert Target(host, port, "shop", "ann", "of ann") == of(dsn)


@pytest.mark.parametrize(
    ("user", "force", "expected"),
    [
        ("ann", False, ("ann", "of ann")),
        ("bob", False, ("bob", "")),
        ("zoe", False, ("zoe", "")),
        ("own", False, ("own", "of own")),
        ("zoe", True, ("own", "of own")),
    ],
)
def test_the_user_and_its_password(user: str, force: bool, expected: tuple[str, str]) -> None:
    found = of("host=db user=own password='of own'", user, force_user=force)
    assert expected == (found.user, found.password)


def test_the_password_is_not_shown() -> None:
    found = of("host=db")
    assert "of ann" not in f"{found} {found!r}"
    assert "db:5432/shop as ann" == str(found)


@pytest.mark.parametrize(("host", "path"), [("/run/pg", "/run/pg/.s.PGSQL.5432"), ("db", "")])
def test_socket_path(host: str, path: str) -> None:
    assert path == Target(host, 5432, "shop", "ann").socket_path


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_encryption_that_cannot_be_had(mode: str) -> None:
    with pytest.raises(FeatureNotSupported, match=mode):
        of(f"host=db sslmode={mode}")


def test_a_dsn_that_cannot_be_read() -> None:
    with pytest.raises(ConfigError):
        of("host")
