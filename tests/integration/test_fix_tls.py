"""The TLS fixtures: libpq finds of them what the tests of dbopt rest on."""

from __future__ import annotations

import psycopg
import pytest

from tests.fix_tls import PASSWORD, Authority, Pair, TlsServer


def test_the_server_can_be_verified(tls_pg: TlsServer, authority: Authority) -> None:
    trusted = {"sslmode": "verify-full", "sslrootcert": str(authority.cert)}
    with psycopg.connect(tls_pg.dsn(host="localhost", **trusted)) as connection:
        assert connection.pgconn.ssl_in_use


def test_a_stranger_cannot(tls_pg: TlsServer, other_authority: Authority) -> None:
    dsn = tls_pg.dsn(sslmode="verify-ca", sslrootcert=str(other_authority.cert))
    with pytest.raises(psycopg.OperationalError, match="certificate verify failed"):
        psycopg.connect(dsn).close()


@pytest.mark.parametrize(
    ("user", "method"), [("scram", "scram-sha-256"), ("md5", "md5"), ("clear", "password")]
)
def test_passwords(tls_pg: TlsServer, user: str, method: str) -> None:
    dsn = tls_pg.dsn(user=user, password=PASSWORD, require_auth=method, sslmode="require")
    with psycopg.connect(dsn) as connection:
        assert (user,) == connection.execute("SELECT current_user").fetchone()


@pytest.mark.parametrize(("user", "refused"), [("tls_only", "disable"), ("plain_only", "require")])
def test_who_must_not_come_so(tls_pg: TlsServer, user: str, refused: str) -> None:
    with pytest.raises(psycopg.OperationalError, match=r"no pg_hba.conf entry"):
        psycopg.connect(tls_pg.dsn(user=user, sslmode=refused)).close()


def test_a_client_certificate(tls_pg: TlsServer, client_cert: Pair) -> None:
    shown = {"sslcert": str(client_cert.cert), "sslkey": str(client_cert.key)}
    with psycopg.connect(tls_pg.dsn(user="certified", sslmode="require", **shown)) as connection:
        assert ("certified",) == connection.execute("SELECT current_user").fetchone()


def test_another_certificate(tls_pg: TlsServer, authority: Authority, server_cert: Pair) -> None:
    tls_pg.use(authority.issue("other", ["other.example"], key="rsa"))
    try:
        dsn = tls_pg.dsn(sslmode="verify-full", sslrootcert=str(authority.cert), host="localhost")
        with pytest.raises(psycopg.OperationalError, match="other"):
            psycopg.connect(dsn).close()
    finally:
        tls_pg.use(server_cert)
