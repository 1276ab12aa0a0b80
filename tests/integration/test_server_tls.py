"""TLS towards servers: sslmode by sslmode as libpq, and whom the gateway does not trust."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import psycopg
import pytest

from dbopt.gateway.server_tls import CONTEXTS
from tests.fix_pg import Server
from tests.fix_tls import Authority, Pair, TlsServer
from tests.integration.server_support import (
    LOOPS,
    backend,
    outcome,
    run,
    targets_of,
)

MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
REFUSED, NO_TLS, UNTRUSTED = "no pg_hba.conf entry", "has no TLS", "not trusted"


@pytest.fixture(autouse=True)
def _no_files_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))


def libpq(dsn: str) -> str:
    try:
        with psycopg.connect(dsn) as connection:
            return "TLS" if connection.pgconn.ssl_in_use else "plain"
    except psycopg.OperationalError:
        return "refused"


EXPECTED = {
    "postgres": ("plain", "plain", "TLS", "TLS", "TLS", "TLS"),
    "tls_only": (REFUSED, "TLS", "TLS", "TLS", "TLS", "TLS"),
    "plain_only": ("plain", "plain", "plain", REFUSED, REFUSED, REFUSED),
}


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("user", EXPECTED)
def test_every_sslmode_as_libpq(
    tls_pg: TlsServer, authority: Authority, user: str, loop: str
) -> None:
    for mode, expected in zip(MODES, EXPECTED[user], strict=True):
        dsn = tls_pg.dsn(host="localhost", user=user, sslmode=mode, gssencmode="disable")
        dsn += f" sslrootcert={authority.cert}"
        found = run(outcome(targets_of(dsn)), loop)
        assert expected in found, mode
        assert libpq(dsn) == (found if found in ("TLS", "plain") else "refused"), mode


@pytest.mark.parametrize("mode", MODES)
def test_a_server_without_tls(pg_backend: Server, authority: Authority, mode: str) -> None:
    to = targets_of(pg_backend.dsn, sslmode=mode, sslrootcert=authority.cert)
    expected = "plain" if mode in MODES[:3] else NO_TLS
    assert expected in run(outcome(to))


@pytest.mark.parametrize("mode", MODES)
def test_a_unix_socket_has_no_tls(tls_pg: TlsServer, authority: Authority, mode: str) -> None:
    directory = tls_pg.cluster.socket_dir
    to = targets_of(tls_pg.dsn(host=str(directory)), sslmode=mode, sslrootcert=authority.cert)
    assert "plain" == run(outcome(to))


def test_what_is_known_of_the_connection(tls_pg: TlsServer) -> None:
    async def play() -> tuple[str, str]:
        async with backend(targets_of(tls_pg.dsn(), sslmode="require")) as made:
            return made.tls, str(made.address)

    tls, address = run(play())
    assert "127.0.0.1" == address
    assert tls.startswith("TLSv1.3/TLS_")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({"ssl_max_protocol_version": "TLSv1.2"}, "TLSv1.2/"),
        ({"ssl_min_protocol_version": "TLSv1.3"}, "TLSv1.3/"),
    ],
)
def test_protocol_versions(tls_pg: TlsServer, limits: dict[str, str], expected: str) -> None:
    async def play() -> str:
        async with backend(targets_of(tls_pg.dsn(), sslmode="require", **limits)) as made:
            return made.tls

    assert run(play()).startswith(expected)


def test_too_old_a_version(tls_pg: TlsServer) -> None:
    limits = {"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1.1"}
    to = targets_of(tls_pg.dsn(), sslmode="require", **limits)
    assert "TLS with PostgreSQL" in run(outcome(to))


@pytest.mark.parametrize("loop", LOOPS)
def test_handshakes_that_fail_leave_no_socket(tls_pg: TlsServer, loop: str) -> None:
    limits = {"ssl_min_protocol_version": "TLSv1", "ssl_max_protocol_version": "TLSv1.1"}
    to = targets_of(tls_pg.dsn(), sslmode="require", **limits)
    run(outcome(to), loop)  # whatever a loop keeps open for ever

    async def often() -> None:
        for _ in range(20):
            await outcome(to)

    before = len(os.listdir("/proc/self/fd"))
    run(often(), loop)
    assert before == len(os.listdir("/proc/self/fd"))


# Whom it trusts


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_a_wrong_authority(
    tls_pg: TlsServer, other_authority: Authority, mode: str, loop: str
) -> None:
    # With sslmode=require too: as in libpq, a file of authorities that is there counts.
    to = targets_of(tls_pg.dsn(), sslmode=mode, sslrootcert=other_authority.cert)
    assert UNTRUSTED in run(outcome(to), loop)


def test_prefer_goes_on_without_tls(tls_pg: TlsServer, other_authority: Authority) -> None:
    dsn = tls_pg.dsn(sslmode="prefer", sslrootcert=str(other_authority.cert))
    assert libpq(dsn) == run(outcome(targets_of(dsn))) == "plain"


def test_no_authority_at_all(tls_pg: TlsServer) -> None:
    assert "there is no file" in run(outcome(targets_of(tls_pg.dsn(), sslmode="verify-ca")))


def test_the_default_places(
    tls_pg: TlsServer, authority: Authority, client_cert: Pair, tmp_path: Path
) -> None:
    place = tmp_path / ".postgresql"
    place.mkdir()
    shutil.copy(authority.cert, place / "root.crt")
    shutil.copy(client_cert.cert, place / "postgresql.crt")
    shutil.copy(client_cert.key, place / "postgresql.key")
    dsn = tls_pg.dsn(user="certified", sslmode="verify-full", host="localhost")
    assert libpq(dsn) == run(outcome(targets_of(dsn))) == "TLS"


def test_the_systems_authorities(
    tls_pg: TlsServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    to = targets_of(tls_pg.dsn(host="localhost"), sslrootcert="system")
    assert UNTRUSTED in run(outcome(to))
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.cert))
    CONTEXTS._made.clear()
    assert "TLS" == run(outcome(to))
    CONTEXTS._made.clear()


@pytest.mark.parametrize("sni", ["1", "0"])
@pytest.mark.parametrize(
    ("place", "full"),
    [
        ({"host": "other.example", "hostaddr": "127.0.0.1"}, "TLS"),
        ({"host": "OTHER.example", "hostaddr": "127.0.0.1"}, "TLS"),
        ({"host": "a.wild.example", "hostaddr": "127.0.0.1"}, "TLS"),
        ({"host": "a.b.wild.example", "hostaddr": "127.0.0.1"}, "refused"),
        ({"host": "wild.example", "hostaddr": "127.0.0.1"}, "refused"),
        ({"host": "localhost"}, "refused"),
        ({"host": "127.0.0.1"}, "refused"),
    ],
    ids=str,
)
def test_the_host_name(
    another: TlsServer, authority: Authority, place: dict[str, str], full: str, sni: str
) -> None:
    dsn = another.dsn(**place, sslsni=sni) + f" sslrootcert={authority.cert}"
    assert "TLS" == run(outcome(targets_of(dsn, sslmode="verify-ca")))
    found = run(outcome(targets_of(dsn, sslmode="verify-full")))
    assert full == (found if found == "TLS" else "refused")
    assert full == libpq(dsn + " sslmode=verify-full")


@pytest.fixture(scope="module")
def another_cert(authority: Authority) -> Pair:
    return authority.issue("other", ["other.example", "*.wild.example"], key="rsa")


@pytest.fixture
def another(tls_pg: TlsServer, another_cert: Pair) -> TlsServer:
    """The server with a certificate of other names."""
    if tls_pg.pair != another_cert:
        tls_pg.use(another_cert)
    return tls_pg


@pytest.fixture(autouse=True, scope="module")
def _certificate_put_back(tls_pg: TlsServer, server_cert: Pair) -> object:
    yield
    tls_pg.use(server_cert)


@pytest.fixture
def usual(tls_pg: TlsServer, server_cert: Pair) -> TlsServer:
    if tls_pg.pair != server_cert:
        tls_pg.use(server_cert)
    return tls_pg


def test_an_address_in_the_certificate(usual: TlsServer, authority: Authority) -> None:
    for place in ({"host": "127.0.0.1"}, {"hostaddr": "127.0.0.1", "host": ""}):
        to = targets_of(usual.dsn(), sslmode="verify-full", sslrootcert=authority.cert, **place)
        assert "TLS" == run(outcome(to))


def test_an_expired_certificate(tls_pg: TlsServer, authority: Authority) -> None:
    tls_pg.use(authority.issue("localhost", ["localhost"], expired=True))
    to = targets_of(tls_pg.dsn(), sslmode="verify-ca", sslrootcert=authority.cert)
    assert "expired" in run(outcome(to))


def test_a_revoked_certificate(usual: TlsServer, authority: Authority, server_cert: Pair) -> None:
    dsn = usual.dsn(sslmode="verify-ca", sslrootcert=str(authority.cert))
    others = authority.revoke()
    assert "TLS" == run(outcome(targets_of(dsn, sslcrl=others)))
    revoked = authority.revoke(server_cert)
    assert "revoked" in run(outcome(targets_of(dsn, sslcrl=revoked)))
    assert "refused" == libpq(dsn + f" sslcrl={revoked}")


def test_a_revocation_list_that_is_not_there(usual: TlsServer, authority: Authority) -> None:
    to = targets_of(usual.dsn(), sslmode="verify-ca", sslrootcert=authority.cert, sslcrl="/no/x")
    assert "sslcrl: /no/x" in run(outcome(to))


# Our own certificate


def test_a_client_certificate(usual: TlsServer, client_cert: Pair, authority: Authority) -> None:
    to = targets_of(usual.dsn(user="certified"), sslmode="require")
    assert "refused" in run(outcome(to))
    shown = {"sslcert": client_cert.cert, "sslkey": client_cert.key}
    to = targets_of(usual.dsn(user="certified"), sslmode="require", **shown)
    assert "TLS" == run(outcome(to))
    other = authority.issue("somebody")
    to = targets_of(
        usual.dsn(user="certified"), sslmode="require", sslcert=other.cert, sslkey=other.key
    )
    assert "refused" in run(outcome(to))


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_certificate_that_the_server_does_not_trust(
    usual: TlsServer, other_authority: Authority, loop: str
) -> None:
    stranger = other_authority.issue("certified")
    to = targets_of(
        usual.dsn(user="certified"), sslmode="require", sslcert=stranger.cert, sslkey=stranger.key
    )
    # With TLS 1.3 the server says so after the handshake; its reset may overtake its word.
    assert run(outcome(to), loop).endswith(("unknown ca.", "closed the connection."))


def test_a_key_with_a_password(usual: TlsServer, authority: Authority) -> None:
    locked = authority.issue("certified", password="open sesame")
    dsn = usual.dsn(user="certified", sslmode="require")
    shown = {"sslcert": locked.cert, "sslkey": locked.key}
    assert "TLS" == run(outcome(targets_of(dsn, **shown, sslpassword="open sesame")))
    for wrong in ({"sslpassword": "xyzzy"}, {}):
        found = run(outcome(targets_of(dsn, **shown, **wrong)))
        assert "sslcert:" in found
        assert "xyzzy" not in found


def test_a_key_that_others_can_read(usual: TlsServer, client_cert: Pair, tmp_path: Path) -> None:
    key = Path(shutil.copy(client_cert.key, tmp_path / "open.key"))
    key.chmod(0o644)
    to = targets_of(usual.dsn(), sslmode="require", sslcert=client_cert.cert, sslkey=key)
    assert "others can use" in run(outcome(to))
    to = targets_of(
        usual.dsn(), sslmode="require", sslcert=client_cert.cert, sslkey=key, sslcertmode="disable"
    )
    assert "TLS" == run(outcome(to))


# The context


def test_the_context_is_made_once(usual: TlsServer, authority: Authority) -> None:
    """PgBouncer #1299: the authorities were loaded for each database."""
    options = targets_of(usual.dsn(), sslmode="verify-ca", sslrootcert=authority.cert)
    other = targets_of(usual.dsn(dbname="x"), sslmode="verify-ca", sslrootcert=authority.cert)
    first, second = options.hosts[0].options.tls, other.hosts[0].options.tls
    assert CONTEXTS.get(first) is CONTEXTS.get(second)


def test_changed_files_are_read_anew(
    usual: TlsServer, authority: Authority, other_authority: Authority, tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.crt"
    to = targets_of(usual.dsn(), sslmode="verify-ca", sslrootcert=trusted)
    shutil.copy(other_authority.cert, trusted)
    assert UNTRUSTED in run(outcome(to))
    shutil.copy(authority.cert, trusted)
    assert "TLS" == run(outcome(to))
    trusted.write_text("half of a fi")
    assert "TLS" == run(outcome(to))
    trusted.unlink()
    assert "TLS" == run(outcome(to))
