"""Real certificates, and a PostgreSQL 15 that speaks TLS (the embedded server's wheel does not)."""

from __future__ import annotations

import datetime
import ipaddress
import os
import shutil
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from psycopg import sql
from psycopg.conninfo import make_conninfo

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.wire import encode
from tests.fix_pg import DEBIAN_15
from tests.support import wait_until

DAY = datetime.timedelta(days=1)
PASSWORD = "it's: a \\secret"
PRIVATE_KEYS: dict[str, Callable[[], Any]] = {
    "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
    "rsa": lambda: rsa.generate_private_key(65537, 2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate,
}
METHODS = {
    "tls_only": "hostssl all tls_only all trust",
    "plain_only": "hostnossl all plain_only all trust",
    "scram": "host all scram all scram-sha-256",
    "md5": "host all md5 all md5",
    "clear": "host all clear all password",
    "certified": "hostssl all certified all cert",
}
"""Users of `tls_pg`, and how pg_hba.conf lets them in. Their password is PASSWORD."""
UNCHECKED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNCHECKED.check_hostname = False
UNCHECKED.verify_mode = ssl.CERT_NONE
HBA = "\n".join(["local all all trust", *METHODS.values(), "host all postgres all trust", ""])


@dataclass(frozen=True, slots=True)
class Pair:
    """A certificate and its key as PEM files; the key can be read by us alone."""

    cert: Path
    key: Path

    @property
    def der(self) -> bytes:
        loaded = x509.load_pem_x509_certificate(self.cert.read_bytes())
        return loaded.public_bytes(serialization.Encoding.DER)


class Authority:
    """A certificate authority; `cert` is the file to trust."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.directory.mkdir(parents=True, exist_ok=True)
        self.name = _name(name)
        self.cert = directory / "ca.crt"
        self._key: Any = PRIVATE_KEYS["ec"]()
        self._made = 0
        basic = x509.BasicConstraints(ca=True, path_length=None)
        builder = _builder(self.name, self.name, self._key, expired=False)
        builder = builder.add_extension(basic, critical=True)
        self.cert.write_bytes(_pem(builder.sign(self._key, hashes.SHA256())))

    def issue(
        self,
        name: str,
        hosts: Iterable[str] = (),
        *,
        expired: bool = False,
        digest: Any = hashes.SHA256,
        key: str = "ec",
        password: str = "",
    ) -> Pair:
        """A certificate of `name`, for these host names and addresses (or a client's, for none).

        `digest` is the signature's hash; `password` encrypts the key file.
        """
        self._made += 1
        private = PRIVATE_KEYS[key]()
        builder = _builder(_name(name), self.name, private, expired=expired)
        if names := [_general_name(host) for host in hosts]:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        usage = x509.ExtendedKeyUsage(
            [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        )
        certificate = builder.add_extension(usage, critical=False).sign(self._key, digest())
        return self._save(certificate, private, password)

    def _save(self, certificate: x509.Certificate, private: Any, password: str) -> Pair:
        pair = Pair(
            self.directory / f"{self._made}.crt",
            self.directory / f"{self._made}.key",
        )
        pair.cert.write_bytes(_pem(certificate))
        pair.key.touch(0o600)
        pair.key.write_bytes(_key_pem(private, password))
        return pair

    def revoke(self, *pairs: Pair) -> Path:
        """A revocation list of these certificates."""
        now = datetime.datetime.now(datetime.UTC)
        builder = x509.CertificateRevocationListBuilder(self.name, now - DAY, now + DAY)
        for pair in pairs:
            serial = x509.load_pem_x509_certificate(pair.cert.read_bytes()).serial_number
            entry = x509.RevokedCertificateBuilder(serial, now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        self._made += 1
        path = self.directory / f"{self._made}.crl"
        signed = builder.sign(self._key, hashes.SHA256())
        path.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
        return path


class TlsServer:
    """A PostgreSQL 15 with ssl=on, on 127.0.0.1, that trusts `authority` for client certificates.

    The superuser postgres comes in by any way; METHODS names the others.
    """

    def __init__(self, cluster: EmbeddedCluster, authority: Authority, pair: Pair) -> None:
        self.cluster = cluster
        self.authority = authority
        self.pair = pair
        (cluster.data_dir / "pg_hba.conf").write_text(HBA)
        with (cluster.data_dir / "postgresql.conf").open("a") as file:
            file.write("ssl_cert_file='server.crt'\nssl_key_file='server.key'\n")
            file.write("ssl_ca_file='ca.crt'\nssl=on\n")
        self._install(authority.cert, "ca.crt")
        self.use(pair)
        with psycopg.connect(self.dsn(sslmode="disable"), autocommit=True) as connection:
            _make_roles(connection)

    @property
    def port(self) -> int:
        return self.cluster.port

    def dsn(self, **parameters: Any) -> str:
        """A conninfo to database postgres as postgres over TCP; `parameters` override it."""
        return make_conninfo(self.cluster.dsn(), **parameters)

    def use(self, pair: Pair) -> None:
        """Have the server show another certificate from now on."""
        self.pair = pair
        self._install(pair.cert, "server.crt")
        self._install(pair.key, "server.key")
        with psycopg.connect(self.dsn(sslmode="disable"), autocommit=True) as connection:
            connection.execute("SELECT pg_reload_conf()")
        wait_until(self._shows_it, what="the server's new certificate")

    def _shows_it(self) -> bool:
        """Whether a new session is shown the certificate; SIGHUP takes a moment."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as sock:
                sock.sendall(encode.ssl_request())
                if sock.recv(1) != b"S":
                    return False
                with UNCHECKED.wrap_socket(sock) as secured:
                    return secured.getpeercert(binary_form=True) == self.pair.der
        except OSError:
            return False

    def _install(self, source: Path, name: str) -> None:
        owner = self.cluster.data_dir.stat()
        place = self.cluster.data_dir / name
        fresh = self.cluster.data_dir / f"{name}.new"
        shutil.copyfile(source, fresh)
        fresh.chmod(0o600)
        if os.geteuid() == 0:
            os.chown(fresh, owner.st_uid, owner.st_gid)
        fresh.replace(place)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """The authority that signed what is to be trusted."""
    return Authority(tmp_path_factory.mktemp("ca"), "dbopt test authority")


@pytest.fixture(scope="session")
def other_authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that nobody should trust."""
    return Authority(tmp_path_factory.mktemp("other-ca"), "another authority")


@pytest.fixture(scope="session")
def server_cert(authority: Authority) -> Pair:
    """A certificate for localhost and 127.0.0.1."""
    return authority.issue("localhost", ["localhost", "127.0.0.1"])


@pytest.fixture(scope="session")
def client_cert(authority: Authority) -> Pair:
    """A certificate of the user `certified`."""
    return authority.issue("certified")


@pytest.fixture(scope="session")
def tls_pg(authority: Authority, server_cert: Pair) -> Iterator[TlsServer]:
    """Debian's PostgreSQL 15 with TLS. A test that calls `use` puts `server_cert` back."""
    if not DEBIAN_15.exists():
        pytest.skip("missing: /usr/lib/postgresql/15 (apt-get install postgresql-15)")
    with EmbeddedCluster(bin_dir=DEBIAN_15) as cluster:
        yield TlsServer(cluster, authority, server_cert)


def _make_roles(connection: psycopg.Connection[Any]) -> None:
    for name in METHODS:
        kind = "md5" if name == "md5" else "scram-sha-256"
        connection.execute(f"SET password_encryption = '{kind}'")
        text = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}")
        connection.execute(text.format(sql.Identifier(name), sql.Literal(PASSWORD)))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Any, *, expired: bool
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    end = now - DAY if expired else now + 30 * DAY
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - 2 * DAY)
        .not_valid_after(end)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: Any, password: str) -> bytes:
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password.encode())
    return bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
