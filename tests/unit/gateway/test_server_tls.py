"""server_tls: options, contexts, and what the handshake does not check."""

from __future__ import annotations

import os
import shutil
import ssl
from pathlib import Path
from typing import Any, cast

import pytest

from dbopt.errors import ConfigError, ConnectError
from dbopt.gateway.server_tls import (
    Contexts,
    NoTls,
    TlsOptions,
    check_peer,
    make_context,
    tls_failure,
    tls_name,
    tls_options,
)
from tests.fix_tls import Authority, Pair


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def test_defaults() -> None:
    assert TlsOptions() == tls_options({})
    assert "verify-full" == tls_options({"sslrootcert": "system"}).mode
    direct = tls_options({"sslmode": "require", "sslnegotiation": "direct", "sslsni": "0"})
    assert (True, False, True) == (direct.direct, direct.sni, direct.required)


@pytest.mark.parametrize(
    ("mode", "root", "verifies", "checks_name"),
    [
        ("prefer", False, ssl.CERT_NONE, False),
        ("require", False, ssl.CERT_NONE, False),
        ("prefer", True, ssl.CERT_REQUIRED, False),
        ("require", True, ssl.CERT_REQUIRED, False),
        ("verify-ca", True, ssl.CERT_REQUIRED, False),
        ("verify-full", True, ssl.CERT_REQUIRED, True),
    ],
)
def test_what_a_context_verifies(
    authority: Authority, mode: str, root: bool, verifies: ssl.VerifyMode, checks_name: bool
) -> None:
    context = make_context(TlsOptions(mode=mode, root=str(authority.cert) if root else ""))
    assert (verifies, checks_name) == (context.verify_mode, context.check_hostname)
    assert ssl.TLSVersion.TLSv1_2 == context.minimum_version


def test_a_context_has_the_files(authority: Authority, client_cert: Pair) -> None:
    crl = authority.revoke()
    options = TlsOptions(
        mode="verify-ca", root=str(authority.cert), crl=str(crl),
        cert=str(client_cert.cert), key=str(client_cert.key), max_version="TLSv1.2",
    )  # fmt: skip
    context = make_context(options)
    assert {"x509": 1, "crl": 1, "x509_ca": 1} == context.cert_store_stats()
    assert context.verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN == ssl.VERIFY_CRL_CHECK_CHAIN
    assert ssl.TLSVersion.TLSv1_2 == context.maximum_version


def test_a_directory_of_revocation_lists(authority: Authority, tmp_path: Path) -> None:
    options = TlsOptions(mode="verify-ca", root=str(authority.cert), crl_dir=str(tmp_path))
    assert make_context(options).verify_flags & ssl.VERIFY_CRL_CHECK_CHAIN


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mode": "verify-ca"}, "there is no file"),
        ({"mode": "verify-full", "root": "/no/such"}, "there is no file /no/such"),
        ({"root": "JUNK"}, "sslrootcert: JUNK cannot be used"),
        ({"root": "CA", "crl": "/no/such"}, "sslcrl: /no/such"),
        ({"root": "CA", "crl": "JUNK"}, "sslcrl: JUNK cannot be used"),
        ({"cert": "/no/such", "key": "KEY"}, "sslcert: /no/such"),
        ({"cert": "CERT", "key": "/no/such"}, "sslkey: /no/such"),
        ({"cert": "CERT", "key": "OTHER"}, "sslcert: CERT cannot be used"),
        ({"cert": "JUNK", "key": "KEY"}, "sslcert: JUNK cannot be used"),
    ],
)
def test_files_that_cannot_be_used(
    authority: Authority, client_cert: Pair, tmp_path: Path, options: dict[str, str], words: str
) -> None:
    junk = tmp_path / "junk"
    junk.write_text("no certificate")
    places = {
        "CA": authority.cert,
        "JUNK": junk,
        "CERT": client_cert.cert,
        "KEY": client_cert.key,
        "OTHER": authority.issue("other").key,
    }
    given: dict[str, Any] = {k: str(places.get(v, v)) for k, v in options.items()}
    for name, place in places.items():
        words = words.replace(name, str(place))
    with pytest.raises(ConfigError) as caught:
        make_context(TlsOptions(**given))
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "uid", "fine"),
    [(0o600, 0, True), (0o640, 0, True), (0o640, 1, False), (0o660, 0, False), (0o604, 0, False)],
)
def test_who_may_read_the_key(
    client_cert: Pair, tmp_path: Path, mode: int, uid: int, fine: bool
) -> None:
    if os.geteuid() != 0:
        pytest.skip("missing: root, to give a file away")
    key = Path(shutil.copy(client_cert.key, tmp_path / "key"))
    key.chmod(mode)
    os.chown(key, uid, uid)
    options = TlsOptions(cert=str(client_cert.cert), key=str(key))
    if fine:
        make_context(options)
        return
    with pytest.raises(ConfigError, match="others can use"):
        make_context(options)


def test_a_context_is_made_once_and_again_when_files_change(
    authority: Authority, other_authority: Authority, tmp_path: Path
) -> None:
    root = tmp_path / "root.crt"
    shutil.copy(authority.cert, root)
    contexts, options = Contexts(), TlsOptions(mode="verify-ca", root=str(root))
    first = contexts.get(options)
    assert first is contexts.get(TlsOptions(mode="verify-ca", root=str(root)))
    assert first is not contexts.get(TlsOptions(mode="verify-full", root=str(root)))
    fresh = tmp_path / "fresh"
    shutil.copy(other_authority.cert, fresh)
    fresh.replace(root)
    second = contexts.get(options)
    assert first is not second
    root.write_text("broken")
    assert second is contexts.get(options)
    shutil.copy(authority.cert, root)
    assert second is not contexts.get(options)


def test_a_context_that_never_could_be_made(tmp_path: Path) -> None:
    contexts, options = Contexts(), TlsOptions(mode="verify-ca", root=str(tmp_path / "none"))
    for _ in range(2):
        with pytest.raises(ConfigError):
            contexts.get(options)


def test_contexts_are_not_kept_for_ever() -> None:
    contexts = Contexts()
    for number in range(120):
        contexts.get(TlsOptions(password=str(number)))
    assert len(contexts._made) <= 100


class Session:
    """What a handshake came to."""

    def __init__(self, alpn: str | None = None, *names: str) -> None:
        self._alpn = alpn
        self._names = names

    def selected_alpn_protocol(self) -> str | None:
        return self._alpn

    def getpeercert(self) -> dict[str, Any]:
        return {"subjectAltName": tuple(("DNS", name) for name in self._names)}

    def version(self) -> str:
        return "TLSv1.3"

    def cipher(self) -> tuple[str, str, int]:
        return ("TLS_AES_256_GCM_SHA384", "TLSv1.3", 256)


def peer(options: TlsOptions, session: Session, host: str = "db.example") -> None:
    check_peer(cast(ssl.SSLObject, session), options, host, "there")


def test_direct_tls_needs_alpn() -> None:
    options = TlsOptions(mode="require", direct=True)
    peer(options, Session("postgresql"))
    for other in (None, "http/1.1"):
        with pytest.raises(ConnectError, match="ALPN"):
            peer(options, Session(other))
    peer(TlsOptions(mode="require"), Session(None))


@pytest.mark.parametrize(
    ("name", "host", "fits"),
    [
        ("db.example", "db.example", True),
        ("DB.example", "db.EXAMPLE", True),
        ("*.example.org", "db.example.org", True),
        ("*.example.org", "a.b.example.org", False),
        ("*.example.org", "example.org", False),
        ("*.org", "example.org", False),
        ("d*.example.org", "db.example.org", False),
        ("*", "db", False),
        ("other", "db.example", False),
        ("", "db.example", False),
    ],
)
def test_a_host_name_that_goes_unsaid(name: str, host: str, fits: bool) -> None:
    options = TlsOptions(mode="verify-full", sni=False)
    if fits:
        peer(options, Session(None, "other", name), host)
        return
    with pytest.raises(NoTls, match="not of this host name"):
        peer(options, Session(None, name), host)


def test_names_and_failures() -> None:
    assert "TLSv1.3/TLS_AES_256_GCM_SHA384" == tls_name(cast(ssl.SSLObject, Session()))
    assert "" == tls_name(None)
    error = ssl.SSLCertVerificationError(1, "x")
    error.verify_message = "certificate has expired"
    assert "not trusted: certificate has expired." in tls_failure("there", error).message
    assert (
        "TLS with PostgreSQL at there failed: it closed the connection."
        in tls_failure("there", ConnectionResetError()).message
    )
