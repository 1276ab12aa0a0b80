"""How backends prove who they are, and what they do not give to whom."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives import hashes

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.gateway.scram import ScramKeys, keys_of, parse_verifier
from dbopt.gateway.userlist import Secret, SecretKind
from dbopt.wire import encode
from dbopt.wire.md5 import md5_secret
from tests.fix_tls import PASSWORD, Authority, Pair, TlsServer
from tests.integration.server_support import outcome, run, serving, targets_of, terminating


@pytest.fixture(autouse=True)
def _no_files_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


@pytest.fixture(autouse=True, scope="module")
def _certificate_put_back(tls_pg: TlsServer, server_cert: Pair) -> Iterator[None]:
    yield
    tls_pg.use(server_cert)


def verifier(tls_pg: TlsServer, user: str) -> str:
    with psycopg.connect(tls_pg.dsn()) as connection:
        row = connection.execute(
            "SELECT rolpassword FROM pg_authid WHERE rolname = %s", [user]
        ).fetchone()
    assert row is not None
    return str(row[0])


@pytest.mark.parametrize("mode", ["disable", "require"])
@pytest.mark.parametrize("user", ["scram", "md5", "clear"])
def test_a_password(tls_pg: TlsServer, user: str, mode: str) -> None:
    dsn = tls_pg.dsn(user=user, sslmode=mode)
    expected = "TLS" if mode == "require" else "plain"
    assert expected == run(outcome(targets_of(dsn, password=PASSWORD)))
    found = run(outcome(targets_of(dsn, password="xyzzy")))
    assert "password authentication failed" in found
    assert "xyzzy" not in found
    assert "wants a password" in run(outcome(targets_of(dsn)))


def test_the_keys_of_a_scram_verifier(tls_pg: TlsServer) -> None:
    """Pass-through: what a client's login gave opens the server, without the password."""
    keys = keys_of(PASSWORD, parse_verifier(verifier(tls_pg, "scram")))
    assert keys is not None
    for mode, expected in (("disable", "plain"), ("require", "TLS")):
        to = targets_of(tls_pg.dsn(user="scram"), sslmode=mode, channel_binding="prefer")
        assert expected == run(outcome(to.with_secret(keys)))
    wrong = to.with_secret(ScramKeys(b"x" * 32, keys.server_key))
    assert "password authentication failed" in run(outcome(wrong))


def test_an_md5_secret(tls_pg: TlsServer) -> None:
    secret = Secret(SecretKind.MD5, md5_secret("md5", PASSWORD))
    assert secret.value == verifier(tls_pg, "md5")
    to = targets_of(tls_pg.dsn(user="md5"), sslmode="disable").with_secret(secret)
    assert "plain" == run(outcome(to))


@pytest.mark.parametrize(
    ("user", "required", "expected"),
    [
        ("scram", "scram-sha-256", "TLS"),
        ("scram", "!password,!md5", "TLS"),
        ("scram", "md5", "require_auth forbids"),
        ("md5", "scram-sha-256", "require_auth forbids"),
        ("md5", "md5", "TLS"),
        ("clear", "!password", "require_auth forbids"),
        ("clear", "password", "TLS"),
        ("postgres", "scram-sha-256", "require_auth forbids"),
        ("postgres", "none", "TLS"),
        ("postgres", "!none", "require_auth forbids"),
    ],
)
def test_require_auth_as_libpq(tls_pg: TlsServer, user: str, required: str, expected: str) -> None:
    dsn = tls_pg.dsn(user=user, password=PASSWORD, require_auth=required, sslmode="require")
    assert expected in run(outcome(targets_of(dsn)))
    assert (expected == "TLS") == libpq(dsn)


def libpq(dsn: str) -> bool:
    try:
        psycopg.connect(dsn).close()
    except psycopg.OperationalError:
        return False
    return True


# Channel binding


@pytest.mark.parametrize(
    ("user", "mode", "binding", "expected"),
    [
        ("scram", "require", "require", "TLS"),
        ("scram", "require", "prefer", "TLS"),
        ("scram", "require", "disable", "TLS"),
        ("scram", "prefer", "require", "TLS"),
        ("scram", "disable", "require", "does not bind"),
        ("scram", "disable", "prefer", "plain"),
        ("md5", "require", "require", "does not bind"),
        ("clear", "require", "require", "does not bind"),
        ("postgres", "require", "require", "does not bind"),
    ],
)
def test_channel_binding_as_libpq(
    tls_pg: TlsServer, user: str, mode: str, binding: str, expected: str
) -> None:
    dsn = tls_pg.dsn(user=user, password=PASSWORD, sslmode=mode, channel_binding=binding)
    assert expected in run(outcome(targets_of(dsn)))
    assert (expected in ("TLS", "plain")) == libpq(dsn)


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        ("rsa", hashes.SHA256),
        ("rsa", hashes.SHA384),
        ("ec", hashes.SHA512),
        ("ed25519", hashes.SHA256),  # the server's key; its certificate is signed with ECDSA
    ],
)
def test_certificates_of_other_kinds(
    tls_pg: TlsServer, authority: Authority, key: str, digest: Any
) -> None:
    tls_pg.use(authority.issue("localhost", ["localhost"], key=key, digest=digest))
    bound = {"sslmode": "require", "channel_binding": "require"}
    assert "TLS" == run(outcome(targets_of(tls_pg.dsn(user="scram", password=PASSWORD), **bound)))


@pytest.mark.parametrize(
    ("binding", "strips", "expected"),
    [
        ("require", False, "refused the connection"),
        ("require", True, "does not bind"),
        ("prefer", False, "refused the connection"),
        ("prefer", True, "refused the connection"),
        ("disable", True, "TLS"),
    ],
)
def test_a_man_in_the_middle(
    tls_pg: TlsServer, authority: Authority, binding: str, strips: bool, expected: str
) -> None:
    """He has a certificate of the right name from the right authority, so TLS alone is content.

    With `strips` he hides that the server offers SCRAM-SHA-256-PLUS; the client's "y" flag
    tells the server.
    """
    stolen = authority.issue("localhost", ["localhost", "127.0.0.1"])
    offered = encode.authentication_sasl(["SCRAM-SHA-256-PLUS", "SCRAM-SHA-256"])
    less = encode.authentication_sasl(["SCRAM-SHA-256"])

    def edit(data: bytes) -> bytes:
        return data.replace(offered, less) if strips else data

    async def play() -> str:
        async with serving(terminating(tls_pg.port, stolen, edit=edit, tls=True)) as port:
            to = targets_of(
                tls_pg.dsn(user="scram", password=PASSWORD), port=port, sslmode="verify-full",
                sslrootcert=authority.cert, channel_binding=binding,
            )  # fmt: skip
            return await outcome(to)

    assert expected in run(play())


# The password file


def test_the_password_file(tls_pg: TlsServer, tmp_path: Path) -> None:
    path = tmp_path / "pass"
    path.touch(0o600)
    escaped = PASSWORD.replace("\\", "\\\\").replace(":", "\\:")
    path.write_text(
        f"# a comment\n127.0.0.1:1:*:scram:of another port\n127.0.0.1:*:*:scram:{escaped}\n"
    )
    dsn = tls_pg.dsn(user="scram", sslmode="disable", passfile=str(path))
    assert "plain" == run(outcome(targets_of(dsn)))
    assert libpq(dsn)
    path.chmod(0o640)
    assert "wants a password" in run(outcome(targets_of(dsn)))
    assert not libpq(dsn)


def test_the_password_file_at_its_default_place(
    tls_pg: TlsServer, scram_server: EmbeddedCluster, tmp_path: Path
) -> None:
    path = tmp_path / ".pgpass"
    path.touch(0o600)
    path.write_text(f"127.0.0.1:{scram_server.port}:*:*:{scram_server.password}\n")
    parts = {"host": "127.0.0.1", "port": scram_server.port, "user": "postgres"}
    dsn = " ".join(f"{key}={value}" for key, value in parts.items()) + " dbname=postgres"
    assert "plain" == run(outcome(targets_of(dsn)))


# Servers that mean no good


def hostile(*answers: bytes) -> str:
    """What comes of a server that answers so, message for message."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for answer in answers:
            await reader.read(10_000)
            writer.write(answer)
        await reader.read(10_000)

    async def play() -> str:
        async with serving(script) as port:
            dsn = f"host=127.0.0.1 port={port} dbname=x user=x password=xyzzy sslmode=disable"
            return await outcome(targets_of(dsn))

    found = run(play())
    assert "xyzzy" not in found
    return found


SASL = encode.authentication_sasl(["SCRAM-SHA-256"])


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ((b"E\0\0\0\x10Mno reason\0\0",), "no reason"),  # CVE-2026-6666
        ((SASL, encode.authentication_sasl_continue(b"r=" + b"x" * 2000)), "longer than 1024"),
        ((SASL, encode.authentication_sasl_continue(b"r=x,s=AAAA,i=4096")), "nonce"),
        ((SASL, SASL), "second authentication"),
        ((SASL, encode.authentication_cleartext()), "second authentication"),
        ((SASL, encode.authentication_ok()), "before it proved itself"),
        ((b"E\x7f\xff\xff\xffx",), "length"),
        ((b"HTTP/1.1 400 Bad Request\r\n\r\n",), "length"),
        ((encode.notice("x" * 20_000) * 60,), "more than 1048576 bytes"),
    ],
    ids=[
        "CVE-2026-6666 an error without SQLSTATE",
        "CVE-2026-6665 a long nonce",
        "not our nonce",
        "SCRAM twice",
        "SCRAM, then clear text",
        "no proof",
        "a long message",
        "HTTP",
        "an endless handshake",
    ],
)
def test_a_hostile_server(answers: tuple[bytes, ...], expected: str) -> None:
    assert expected in hostile(*answers)
