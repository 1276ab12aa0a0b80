"""tls-server-end-point: certificates of each kind, as OpenSSL makes them, and what is none."""

from __future__ import annotations

import hashlib
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from dbopt.errors import ProtocolError
from dbopt.gateway.channel_binding import certificate_hash

PSS = ("-sigopt", "rsa_padding_mode:pss")
EC = ("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1")


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An RSA key: to make one takes long, and any will do."""
    if shutil.which("openssl") is None:
        pytest.skip("missing: openssl")
    path = tmp_path_factory.mktemp("key") / "rsa.pem"
    run("genrsa", "-out", str(path), "2048")
    return path


def run(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def certificate(directory: Path, *options: str) -> bytes:
    path = directory / "cert.pem"
    run("req", "-x509", "-subj", "/CN=x", "-days", "2", "-nodes", "-out", str(path), *options)
    return ssl.PEM_cert_to_DER_cert(path.read_text())


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (("-sha1",), "sha256"),
        (("-sha224",), "sha224"),
        (("-sha256",), "sha256"),
        (("-sha384",), "sha384"),
        (("-sha512",), "sha512"),
        (("-sha3-256",), "sha3_256"),
        (("-sha1", *PSS), "sha256"),
        (("-sha256", *PSS), "sha256"),
        (("-sha512", *PSS), "sha512"),
    ],
)
def test_rsa(key: Path, tmp_path: Path, options: tuple[str, ...], name: str) -> None:
    der = certificate(tmp_path, "-key", str(key), *options)
    assert hashlib.new(name, der).digest() == certificate_hash(der)


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_ecdsa(key: Path, tmp_path: Path, name: str) -> None:
    der = certificate(tmp_path, "-newkey", *EC, "-keyout", str(tmp_path / "key"), f"-{name}")
    assert hashlib.new(name, der).digest() == certificate_hash(der)


def test_ed25519_has_none(key: Path, tmp_path: Path) -> None:
    der = certificate(tmp_path, "-newkey", "ed25519", "-keyout", str(tmp_path / "key"))
    assert b"" == certificate_hash(der)


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30",
        b"\x30\x80\0\0",
        b"\x30\x85\0\0\0\0\0",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x82\x01",
        b"\x31\x02\x30\x00",
        b"\x30\x02\x30\x01",
        b"\x30\x04\x30\x00\x30\x00",
        b"\x30" * 3000,
        b"\0" * (1 << 21),
    ],
)
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(ProtocolError):
        certificate_hash(der)


def test_a_certificate_that_is_cut(key: Path, tmp_path: Path) -> None:
    der = certificate(tmp_path, "-key", str(key), "-sha256", *PSS)
    for size in range(0, len(der), 7):
        with pytest.raises(ProtocolError):
            certificate_hash(der[:size])
