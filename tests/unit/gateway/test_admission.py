"""Admission: what is read at the start and at a reload, and with what a pool's user logs in."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dbopt.errors import ConfigError, ServerLost
from dbopt.gateway import admission as module
from dbopt.gateway.admission import Admission
from dbopt.gateway.auth_query import AuthQuery
from dbopt.gateway.routes import route
from dbopt.gateway.scram import ScramKeys, make_verifier
from dbopt.gateway.target import Target, Targets
from dbopt.gateway.userlist import Secret, SecretKind
from dbopt.settings import Database, Settings
from tests.fix_gateway import settings_of
from tests.fix_tls import Pair

KEY = b"k" * 32
QUERY = "SELECT name, secret FROM users WHERE name = $1"
VERIFIER = str(make_verifier("x", 1))
KEYS = Secret(SecretKind.SCRAM, VERIFIER, ScramKeys(b"c" * 32, b"s" * 32))


@pytest.fixture
def userlist(tmp_path: Path) -> Path:
    path = tmp_path / "users"
    write(path, '"ann" "old"\n"keeper" "kept"\n')
    return path


def write(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)


def settings(userlist: Path | str = "", **gateway: Any) -> Settings:
    changed = {f"gateway.{name}": value for name, value in gateway.items()}
    dsn = "host=db dbname=shop user=own password=owns passfile=/none"
    known = {"server.dsn": dsn, "gateway.userlist": str(userlist), "gateway.auth_type": "md5"}
    return settings_of(Settings(), known | changed)


def login(admission: Admission, database: str, user: str) -> Target:
    """With what, and as whom, a pool's connections log in."""
    return admission.servers(route(admission.settings, database, user)).hosts[0]


# What is read


def test_without_files() -> None:
    admission = Admission(settings(), KEY)
    assert ({}, None) == (dict(admission.users), admission.tls)
    assert admission.auth.directory is None
    admission.tick(0.0)
    admission.close()


def test_a_user_list_is_read_again_and_a_broken_one_is_not(userlist: Path) -> None:
    admission = Admission(settings(userlist), KEY)
    assert Secret(SecretKind.PLAIN, "old") == admission.auth.users["ann"]
    write(userlist, '"ann" "new"\n')
    admission.reload(admission.settings)
    assert Secret(SecretKind.PLAIN, "new") == admission.auth.users["ann"]
    write(userlist, '"ann" "top secret\n')
    with capture_logs() as logs:
        admission.reload(admission.settings)
    assert ["user list not reloaded"] == [line["event"] for line in logs]
    assert "top secret" not in str(logs)
    assert Secret(SecretKind.PLAIN, "new") == admission.auth.users["ann"]


def test_at_the_start_a_broken_file_is_an_error(userlist: Path) -> None:
    write(userlist, "x")
    with pytest.raises(ConfigError):
        Admission(settings(userlist), KEY)
    with pytest.raises(ConfigError):
        Admission(settings(tls_mode="allow", tls_cert="/none", tls_key="/none"), KEY)


def test_a_user_list_that_others_can_read_is_warned_of(userlist: Path) -> None:
    userlist.chmod(0o644)
    with capture_logs() as logs:
        Admission(settings(userlist), KEY)
    (line,) = logs
    assert "chmod 600" in line["warning"]


def test_a_certificate_is_read_again_and_a_broken_one_is_not(
    server_cert: Pair, client_cert: Pair, tmp_path: Path
) -> None:
    cert, key = tmp_path / "cert", tmp_path / "key"

    def install(pair: Pair) -> None:
        write(cert, pair.cert.read_text())
        write(key, pair.key.read_text())

    install(server_cert)
    admission = Admission(settings(tls_mode="require", tls_cert=str(cert), tls_key=str(key)), KEY)
    first = admission.tls
    install(client_cert)
    admission.reload(admission.settings)
    second = admission.tls
    assert first is not None
    assert second is not None
    assert first.binding != second.binding
    write(key, server_cert.key.read_text())  # of another certificate
    with capture_logs() as logs:
        admission.reload(admission.settings)
    assert ["certificate not reloaded"] == [line["event"] for line in logs]
    assert second is admission.tls


# Towards the server


def test_the_user_list_logs_in_to_the_server(userlist: Path) -> None:
    admission = Admission(settings(userlist), KEY)
    found = login(admission, "shop", "ann")
    assert ("ann", "old", None) == (found.user, found.password, found.keys)


def test_what_a_client_proved_logs_in_its_own_user_alone(userlist: Path) -> None:
    write(userlist, f'"ann" "{VERIFIER}"\n"bob" "{VERIFIER}"\n')
    admission = Admission(settings(userlist), KEY)
    assert not login(admission, "shop", "ann").has_secret
    admission.auth.prove("shop", "ann", KEYS)
    assert KEYS.keys == login(admission, "shop", "ann").keys
    assert not login(admission, "shop", "bob").has_secret
    assert not login(admission, "other", "ann").has_secret


def test_a_client_that_is_made_another_lends_it_no_proof() -> None:
    forced = settings_of(settings(), {"databases": {"shop": Database(user="app")}})
    admission = Admission(forced, KEY)
    admission.auth.prove("shop", "ann", Secret(SecretKind.PLAIN, "of ann"))
    found = login(admission, "shop", "ann")
    assert ("app", "") == (found.user, found.password)


def test_proofs_outlive_a_reload_but_not_another_secret(userlist: Path) -> None:
    write(userlist, f'"ann" "{VERIFIER}"\n"bob" "{VERIFIER}"\n')
    admission = Admission(settings(userlist), KEY)
    for user in ("ann", "bob"):
        admission.auth.prove("shop", user, KEYS)
    write(userlist, f'"ann" "{VERIFIER}"\n"bob" "{make_verifier("y", 1)}"\n')
    admission.reload(admission.settings)
    assert KEYS.keys == login(admission, "shop", "ann").keys
    assert not login(admission, "shop", "bob").has_secret


# auth_query


def test_who_is_trusted_is_not_looked_up() -> None:
    trusting = settings(auth_query=QUERY, auth_type="trust")
    assert Admission(trusting, KEY).auth.directory is None


def asking(userlist: Path, user: str = "keeper", **databases: Database) -> Admission:
    given = settings(userlist, auth_query=QUERY, auth_user=user)
    return Admission(settings_of(given, {"databases": databases}), KEY)


def test_a_look_up_asks_the_directory(userlist: Path) -> None:
    class Answers:
        async def secret_text(self, database: str, user: str) -> str | None:
            return f"{user} of {database}"

    async def ask() -> None:
        admission = asking(userlist)
        assert isinstance(admission.auth.directory, AuthQuery)
        admission.auth.directory.lookup = Answers()
        found = await admission.look_up("shop", "bob")
        assert Secret(SecretKind.PLAIN, "bob of shop") == found.secret
        assert found is admission.auth.candidate("shop", "bob")
        admission.reload(admission.settings)
        assert admission.auth.candidate("shop", "bob") is None

    asyncio.run(ask())


@pytest.mark.parametrize(
    ("auth_user", "section", "expected"),
    [
        ("keeper", Database(), ("keeper", "kept")),
        ("", Database(), ("own", "owns")),
        # What its clients are made there is not who asks, and its password is not ours to show.
        ("keeper", Database(user="app", password="apps"), ("keeper", "kept")),
        ("", Database(user="app", password="apps"), ("own", "")),
    ],
)
def test_as_whom_auth_query_runs(
    userlist: Path,
    monkeypatch: pytest.MonkeyPatch,
    auth_user: str,
    section: Database,
    expected: tuple[str, str],
) -> None:
    tried: list[Target] = []

    async def connect(targets: Targets, timeout: float) -> Any:
        tried.extend(targets.hosts)
        raise ServerLost("It is of no use here.")

    monkeypatch.setattr(module, "connect", connect)
    admission = asking(userlist, auth_user, shop=section)

    async def ask() -> None:
        with capture_logs():
            await asyncio.wait([admission.look_up("shop", "bob")])

    asyncio.run(ask())
    assert [expected] == [(target.user, target.password) for target in tried]
