"""The certificate that clients are shown: what can be used, and what the operator is told."""

from __future__ import annotations

import hashlib
import ssl
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dbopt.errors import ConfigError
from dbopt.gateway.client_tls import ClientTls, client_tls
from dbopt.gateway.login import Encryption
from dbopt.settings import Gateway
from tests.fix_tls import Authority, Pair


def settings(pair: Pair, tls_mode: str = "allow", **more: Any) -> Gateway:
    given = Gateway(tls_mode=tls_mode, tls_cert=str(pair.cert), tls_key=str(pair.key))
    return replace(given, **more)


def made(gateway: Gateway) -> ClientTls:
    tls = client_tls(gateway)
    assert tls is not None
    return tls


def test_disable() -> None:
    assert client_tls(Gateway(tls_mode="disable", tls_cert="/nowhere")) is None


@pytest.mark.parametrize(
    ("mode", "encryption", "verify"),
    [
        ("allow", Encryption(offered=True), ssl.CERT_NONE),
        ("require", Encryption(offered=True, required=True), ssl.CERT_NONE),
        ("verify-ca", Encryption(offered=True, required=True), ssl.CERT_REQUIRED),
        (
            "verify-full",
            Encryption(offered=True, required=True, own_name=True),
            ssl.CERT_REQUIRED,
        ),
    ],
)
def test_modes(
    authority: Authority, server_cert: Pair, mode: str, encryption: Encryption, verify: int
) -> None:
    tls = made(settings(server_cert, mode, tls_ca=str(authority.cert)))
    assert encryption == tls.encryption
    assert verify == tls.context.verify_mode
    assert tls.context.num_tickets == 0


def test_the_binding_is_that_of_the_certificate_that_is_shown(
    authority: Authority, server_cert: Pair, tmp_path: Path
) -> None:
    chain = tmp_path / "chain.pem"
    text = server_cert.cert.read_text() + authority.cert.read_text()
    chain.write_text(f"a comment\n{text}")
    tls = made(settings(Pair(chain, server_cert.key)))
    assert hashlib.sha256(server_cert.der).digest() == tls.binding


def test_a_certificate_without_a_binding(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=x",
         "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    assert b"" == made(settings(Pair(cert, key))).binding


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"tls_cert": "/nowhere/cert.pem"}, ("gateway.tls_cert", "/nowhere/cert.pem")),
        ({"tls_key": "/nowhere/key.pem"}, ("gateway.tls_key", "/nowhere/key.pem")),
        ({"tls_cert": ""}, ("gateway.tls_cert",)),
        ({"tls_key": "CERT"}, ("gateway.tls_key", "cannot be used")),
        ({"tls_key": "OTHER"}, ("gateway.tls_key", "mismatch")),
        ({"tls_cert": "JUNK"}, ("gateway.tls_cert", "cannot be used")),
        ({"tls_key": "LOCKED"}, ("gateway.tls_key", "password")),
        ({"tls_mode": "verify-ca", "tls_ca": "/nowhere/ca"}, ("gateway.tls_ca", "/nowhere/ca")),
        ({"tls_mode": "verify-ca", "tls_ca": "JUNK"}, ("gateway.tls_ca", "cannot be used")),
    ],
)
def test_what_cannot_be_used_is_named(
    authority: Authority,
    server_cert: Pair,
    tmp_path: Path,
    change: dict[str, str],
    named: tuple[str, ...],
) -> None:
    junk = tmp_path / "junk"
    junk.write_bytes(b"\0junk\xff")
    places = {
        "CERT": server_cert.cert,
        "OTHER": authority.issue("other").key,
        "LOCKED": authority.issue("locked", password="pass phrase").key,
        "JUNK": junk,
    }
    change = {key: str(places.get(value, value)) for key, value in change.items()}
    with pytest.raises(ConfigError) as caught:
        client_tls(settings(server_cert, **change))
    assert all(word in caught.value.message for word in named), caught.value.message
    assert caught.value.hint


def test_a_key_that_others_can_read_is_warned_about(server_cert: Pair, tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_bytes(server_cert.key.read_bytes())
    key.chmod(0o644)
    (warning,) = made(settings(Pair(server_cert.cert, key))).warnings
    assert "chmod 600" in warning
    key.chmod(0o640)
    assert () == made(settings(Pair(server_cert.cert, key))).warnings


@pytest.mark.parametrize(
    ("least", "version"),
    [("TLSv1.2", ssl.TLSVersion.TLSv1_2), ("TLSv1.3", ssl.TLSVersion.TLSv1_3)],
)
def test_tls_min_version(server_cert: Pair, least: str, version: ssl.TLSVersion) -> None:
    tls = made(settings(server_cert, tls_min_version=least))
    assert version == tls.context.minimum_version
