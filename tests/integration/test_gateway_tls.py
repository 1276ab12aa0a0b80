"""TLS of clients: real certificates, real libpq, and clients that do not play by the rules."""

from __future__ import annotations

import contextlib
import select
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from dbopt.gateway.scram import make_verifier
from dbopt.wire import encode
from dbopt.wire import messages as m
from tests.fix_gateway import Gateway, GatewayFactory, Runner, running
from tests.fix_pg import Server, fresh_database
from tests.fix_tls import Authority, Pair
from tests.integration.gateway_support import (
    TIMEOUT,
    Message,
    Raw,
    connected,
    query,
    rows,
    shape,
    sqlstates,
)
from tests.support import wait_until

PASSWORD = "a secret"
CERTIFICATES = {
    "trusted": lambda ours, other: ours.issue("postgres"),
    "of another user": lambda ours, other: ours.issue("somebody"),
    "of another authority": lambda ours, other: other.issue("postgres"),
    "expired": lambda ours, other: ours.issue("postgres", expired=True),
}


def tls(pair: Pair, mode: str = "allow", **more: Any) -> dict[str, Any]:
    settings = {"tls_mode": mode, "tls_cert": str(pair.cert), "tls_key": str(pair.key), **more}
    return {f"gateway__{name}": value for name, value in settings.items()}


@pytest.fixture(scope="module")
def secured(pg_backend: Server, gateway_loop: Runner, server_cert: Pair) -> Iterator[Gateway]:
    """A gateway that offers TLS and trusts its clients."""
    with (
        fresh_database(pg_backend) as dsn,
        running(dsn, gateway_loop, **tls(server_cert)) as gateway,
    ):
        yield gateway


@pytest.fixture
def works(authority: Authority) -> Callable[..., dict[str, Any]]:
    """Connects by libpq; gives what it says of the encryption."""

    def connect(gateway: Gateway, **parameters: Any) -> dict[str, Any]:
        parameters = {"sslrootcert": str(authority.cert), "sslmode": "verify-full"} | parameters
        with gateway.connect(**parameters) as connection:
            assert (1,) == connection.execute("SELECT 1").fetchone()
            pgconn = connection.pgconn
            return {"tls": pgconn.ssl_in_use, "password": pgconn.used_password}

    return connect


def refusal(gateway: Gateway, **parameters: Any) -> str:
    with pytest.raises(psycopg.OperationalError) as caught:
        gateway.connect(**parameters).close()
    return str(caught.value)


def context(authority: Authority, *, alpn: bool = True) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=str(authority.cert))
    if alpn:
        made.set_alpn_protocols(["postgresql"])
    return made


@contextlib.contextmanager
def direct(gateway: Gateway, made: ssl.SSLContext) -> Iterator[Raw]:
    """A connection that begins with TLS."""
    with (
        socket.create_connection((gateway.host, gateway.port), TIMEOUT) as plain,
        made.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        yield Raw(sock)


def names(gateway: Gateway) -> dict[str, str]:
    parts = conninfo_to_dict(gateway.settings.server.dsn)
    return {"user": str(parts["user"]), "database": str(parts["dbname"])}


# libpq


@pytest.mark.parametrize(
    ("mode", "encrypted"),
    [
        ("disable", False), ("allow", False), ("prefer", True), ("require", True),
        ("verify-ca", True), ("verify-full", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_tls_mode_allow_takes_every_sslmode(
    secured: Gateway, works: Callable[..., Any], mode: str, encrypted: bool, host: str
) -> None:
    assert encrypted == works(secured, sslmode=mode, host=host)["tls"]


def test_direct_tls_of_libpq(secured: Gateway, works: Callable[..., Any]) -> None:
    if psycopg.pq.version() < 170000:
        pytest.skip("needs libpq 17")
    assert works(secured, sslnegotiation="direct")["tls"]


def test_psql(secured: Gateway, authority: Authority) -> None:
    if shutil.which("psql") is None:
        pytest.skip("missing: psql")
    dsn = secured.dsn(sslmode="verify-full", sslrootcert=str(authority.cert), gssencmode="prefer")
    done = subprocess.run(
        ["psql", dsn, "-Atc", "\\conninfo", "-c", "SELECT 'it works'"],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    assert "SSL connection" in done.stdout
    assert "it works" in done.stdout


def test_a_certificate_that_the_client_does_not_trust(
    secured: Gateway, other_authority: Authority
) -> None:
    told = refusal(secured, sslmode="verify-ca", sslrootcert=str(other_authority.cert))
    assert "certificate verify failed" in told
    with secured.connect(sslmode="require") as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_tls_mode_disable(make_gateway: GatewayFactory) -> None:
    assert "server does not support SSL" in refusal(make_gateway(), sslmode="require")


@pytest.fixture(scope="module")
def strict(pg_backend: Server, gateway_loop: Runner, server_cert: Pair) -> Iterator[Gateway]:
    """A gateway that requires TLS."""
    with (
        fresh_database(pg_backend) as dsn,
        running(dsn, gateway_loop, **tls(server_cert, "require")) as gateway,
    ):
        yield gateway


def test_tls_mode_require_refuses_plaintext(strict: Gateway, works: Callable[..., Any]) -> None:
    assert "SSL required" in refusal(strict, sslmode="disable")
    with connected(strict.host, strict.port) as raw:
        assert ["28000"] == sqlstates(raw.login(user="postgres"))
    assert works(strict, sslmode="require")["tls"]


def test_tls_mode_require_leaves_the_unix_socket_alone(strict: Gateway) -> None:
    with strict.connect(host=strict.socket_dir) as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    path = f"{strict.socket_dir}/.s.PGSQL.{strict.port}"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(TIMEOUT)
        sock.connect(path)
        sock.sendall(encode.ssl_request())
        assert b"N" == sock.recv(1)


@pytest.mark.parametrize(
    ("mode", "certificate", "fine"),
    [
        ("require", None, True),
        ("require", "of another authority", True),
        ("verify-ca", None, False),
        ("verify-ca", "trusted", True),
        ("verify-ca", "of another user", True),
        ("verify-ca", "of another authority", False),
        ("verify-ca", "expired", False),
        ("verify-full", None, False),
        ("verify-full", "trusted", True),
        ("verify-full", "of another user", False),
        ("verify-full", "of another authority", False),
    ],
)
def test_client_certificates(
    make_gateway: GatewayFactory,
    works: Callable[..., Any],
    authority: Authority,
    other_authority: Authority,
    server_cert: Pair,
    mode: str,
    certificate: str | None,
    fine: bool,
) -> None:
    gateway = make_gateway(**tls(server_cert, mode, tls_ca=str(authority.cert)))
    files = {"sslcert": "/nowhere", "sslkey": "/nowhere"}
    if certificate is not None:
        pair = CERTIFICATES[certificate](authority, other_authority)
        files = {"sslcert": str(pair.cert), "sslkey": str(pair.key)}
    if fine:
        assert works(gateway, **files)["tls"]
    else:
        with pytest.raises(psycopg.OperationalError):
            works(gateway, **files)
        wait_until(lambda: connections(gateway) == 0, what="no client is left")


def connections(gateway: Gateway) -> int:
    """The clients' connections of the worker, whether logged in or not."""
    text = Path(f"/proc/{gateway.pids[0]}/net/tcp").read_text()
    port = f":{gateway.port:04X}"
    ours = [line.split() for line in text.splitlines()[1:]]
    return sum(parts[1].endswith(port) and parts[3] == "01" for parts in ours)


@pytest.mark.parametrize(("least", "fine"), [("TLSv1.2", True), ("TLSv1.3", False)])
def test_tls_min_version(
    make_gateway: GatewayFactory,
    works: Callable[..., Any],
    server_cert: Pair,
    least: str,
    fine: bool,
) -> None:
    gateway = make_gateway(**tls(server_cert, tls_min_version=least))
    if fine:
        assert works(gateway, ssl_max_protocol_version="TLSv1.2")["tls"]
    else:
        with pytest.raises(psycopg.OperationalError):
            works(gateway, ssl_max_protocol_version="TLSv1.2")
        assert works(gateway)["tls"]


# SCRAM-SHA-256-PLUS


@pytest.fixture
def walled(
    make_gateway: GatewayFactory, userlist: Callable[[str], str], server_cert: Pair
) -> Gateway:
    """A gateway with TLS that asks for passwords."""
    path = userlist(f'"postgres" "{make_verifier(PASSWORD)}"\n')
    return make_gateway(
        gateway__auth_type="scram-sha-256", gateway__userlist=path, **tls(server_cert)
    )


@pytest.mark.parametrize("binding", ["disable", "prefer", "require"])
def test_scram_channel_binding(walled: Gateway, works: Callable[..., Any], binding: str) -> None:
    assert works(walled, password=PASSWORD, channel_binding=binding)["password"]


def test_scram_channel_binding_cannot_be_had_without_tls(walled: Gateway) -> None:
    told = refusal(walled, password=PASSWORD, channel_binding="require", sslmode="disable")
    assert "channel binding required" in told


def test_scram_channel_binding_finds_a_man_in_the_middle(
    walled: Gateway, authority: Authority
) -> None:
    """He has a certificate that the client trusts, and passes on what both say."""
    pair = authority.issue("localhost", ["localhost", "127.0.0.1"])
    with man_in_the_middle(walled, pair) as port:
        for mode in ("disable", "require"):
            parameters = {"sslmode": "verify-ca", "sslrootcert": str(authority.cert), "port": port}
            if mode == "disable":
                with walled.connect(
                    password=PASSWORD, channel_binding=mode, **parameters
                ) as connection:
                    assert (1,) == connection.execute("SELECT 1").fetchone()
            else:
                told = refusal(walled, password=PASSWORD, channel_binding=mode, **parameters)
                assert "SCRAM" in told


@contextlib.contextmanager
def man_in_the_middle(gateway: Gateway, pair: Pair) -> Iterator[int]:
    """Speaks TLS with both sides; gives his port."""
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(pair.cert, pair.key)
    theirs = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    theirs.check_hostname = False
    theirs.verify_mode = ssl.CERT_NONE

    def serve(client: socket.socket) -> None:
        with contextlib.suppress(OSError), client:
            client.recv(8, socket.MSG_WAITALL)
            client.sendall(b"S")
            with (
                ours.wrap_socket(client, server_side=True) as secured,
                socket.create_connection((gateway.host, gateway.port)) as plain,
            ):
                plain.sendall(encode.ssl_request())
                assert plain.recv(1) == b"S"
                with theirs.wrap_socket(plain) as server:
                    back = threading.Thread(target=pump, args=(server, secured))
                    back.start()
                    pump(secured, server)
                    back.join()

    def pump(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for sock in (source, sink):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def accept(listening: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                threads.append(threading.Thread(target=serve, args=(client,)))
                threads[-1].start()

    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        acceptor = threading.Thread(target=accept, args=(listening,))
        acceptor.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            acceptor.join()
            for thread in threads:
                thread.join(TIMEOUT)


# What a raw client may do


def test_direct_tls_must_ask_for_alpn(secured: Gateway, authority: Authority) -> None:
    with direct(secured, context(authority, alpn=False)) as raw:
        raw.send(encode.startup(names(secured)))
        assert ["08P01"] == sqlstates(raw.rest())
    with direct(secured, context(authority)) as raw:
        assert (b"Z", b"I") == raw.login(**names(secured))[-1]


@pytest.mark.parametrize("size", [1, 3, 100])
def test_direct_tls_hello_in_pieces(secured: Gateway, authority: Authority, size: int) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = context(authority).wrap_bio(incoming, outgoing, server_hostname="localhost")
    with connected(secured.host, secured.port) as raw:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                raw.send_bytewise(outgoing.read(), size)
                incoming.write(raw.socket.recv(1 << 16))
        session.write(encode.startup(names(secured)) + query("SELECT 'in pieces'"))
        raw.send_bytewise(outgoing.read(), size)
        told = b""
        while b"in pieces" not in told:
            incoming.write(raw.socket.recv(1 << 16))
            with contextlib.suppress(ssl.SSLWantReadError):
                while True:
                    told += session.read(1 << 16)


def test_early_data_behind_the_handshake_is_not_lost(
    secured: Gateway, authority: Authority
) -> None:
    """The client's Finished, its startup packet and a query come in one piece."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    made = context(authority)
    for _ in range(20):
        session = made.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with connected(secured.host, secured.port) as raw:
            with contextlib.suppress(ssl.SSLWantReadError):
                session.do_handshake()
            raw.send(outgoing.read())
            while True:
                incoming.write(raw.socket.recv(1 << 16))
                with contextlib.suppress(ssl.SSLWantReadError):
                    session.do_handshake()
                    break
            session.write(encode.startup(names(secured)) + query("SELECT 'early'"))
            raw.send(outgoing.read())
            told = b""
            while b"early" not in told:
                incoming.write(raw.socket.recv(1 << 16))
                with contextlib.suppress(ssl.SSLWantReadError):
                    while True:
                        told += session.read(1 << 16)
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()


@pytest.mark.parametrize("behind", [b"x", encode.startup({"user": "postgres"}), b"\x16\x03\x01"])
def test_plaintext_buffered_before_tls_cve_2021_3935(secured: Gateway, behind: bytes) -> None:
    with connected(secured.host, secured.port) as raw:
        raw.send(encode.ssl_request() + behind)
        found = raw.rest()
        assert "E" == shape(found)
        assert ["08P01"] == sqlstates(found)


def test_gssencrequest_then_sslrequest(secured: Gateway, authority: Authority) -> None:
    with connected(secured.host, secured.port) as raw:
        raw.send(m.GSSENCRequest().encode())
        assert b"N" == raw.socket.recv(1)
        raw.send(encode.ssl_request())
        assert b"S" == raw.socket.recv(1)
        with context(authority).wrap_socket(raw.socket, server_hostname="localhost") as sock:
            assert (b"Z", b"I") == Raw(sock).login(**names(secured))[-1]


def test_sslrequest_within_tls(secured: Gateway, authority: Authority) -> None:
    with direct(secured, context(authority)) as raw:
        raw.send(encode.ssl_request())
        assert ["08P01"] == sqlstates(raw.rest())


@pytest.mark.parametrize("encrypted", [True, False])
def test_cancel_over_tls(strict: Gateway, authority: Authority, encrypted: bool) -> None:
    """libpq 17 encrypts its cancel, older ones do not, whatever the connection has."""
    with direct(strict, context(authority)) as raw:
        greeting = raw.login(**names(strict))
        assert (b"Z", b"I") == greeting[-1]
        raw.send(query("SELECT pg_sleep(30)"))
        strict.seen.next_frame()
        request = encode.cancel_request(raw.pid, raw.secret)
        made = (
            direct(strict, context(authority)) if encrypted else connected(strict.host, strict.port)
        )
        with made as other:
            other.send(request)
            assert b"" == other.socket.recv(1)
        assert ["57014"] == sqlstates(raw.until(b"Z"))


def test_a_large_result_and_copy_over_tls(secured: Gateway, authority: Authority) -> None:
    dsn = secured.dsn(sslmode="verify-full", sslrootcert=str(authority.cert))
    size = 3_000_000
    with psycopg.connect(dsn, autocommit=True) as connection:
        (text,) = connection.execute("SELECT repeat('x', %s)", (size,)).fetchone() or ("",)
        assert size == len(text)
        with connection.cursor() as cursor, connection.transaction():
            cursor.execute("CREATE TEMP TABLE t (a text) ON COMMIT DROP")
            with cursor.copy("COPY t FROM STDIN") as copy:
                for _ in range(30):
                    copy.write("y" * 100_000 + "\n")
            cursor.execute("SELECT sum(length(a)) FROM t")
            assert (size,) == cursor.fetchone()


# Clients that stall, and files that are broken


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01\x02\0\x01", b"x" * 300])
@pytest.mark.parametrize("asked", [True, False])
def test_a_client_that_stalls_or_closes_in_the_handshake_leaks_nothing(
    make_gateway: GatewayFactory, server_cert: Pair, sent: bytes, asked: bool
) -> None:
    gateway = make_gateway(gateway__login_timeout=0.4, **tls(server_cert))
    for closes in (True, False):
        for _ in range(3):
            with connected(gateway.host, gateway.port) as raw:
                if asked:
                    raw.send(encode.ssl_request())
                    assert b"S" == raw.socket.recv(1)
                raw.send(sent)
                if not closes:  # the timeout ends it
                    with contextlib.suppress(ConnectionError):
                        while raw.socket.recv(1 << 16):
                            pass
    wait_until(lambda: connections(gateway) == 0, what="no connection is left")
    with gateway.connect(sslmode="require") as connection:
        assert (1,) == connection.execute("SELECT 1").fetchone()
    gateway.seen.next_frame()
    assert (6 if asked or sent[:1] == b"\x16" else 3) <= gateway.seen.snapshots[0].login_failures


def test_a_renewed_certificate_is_shown_after_a_reload_and_a_broken_one_is_not(
    make_gateway: GatewayFactory, authority: Authority, tmp_path: Path, server_cert: Pair
) -> None:
    cert, key = tmp_path / "server.crt", tmp_path / "server.key"

    def install(pair: Pair) -> None:
        shutil.copy(pair.cert, cert)
        shutil.copy(pair.key, key)

    def shown() -> bytes:
        with direct(gateway, context(authority)) as raw:
            assert isinstance(raw.socket, ssl.SSLSocket)
            return raw.socket.getpeercert(binary_form=True) or b""

    install(server_cert)
    gateway = make_gateway(**tls(Pair(cert, key)))
    with direct(gateway, context(authority)) as before:
        assert (b"Z", b"I") == before.login(**names(gateway))[-1]
        assert server_cert.der == shown()
        renewed = authority.issue("localhost", ["localhost"])
        install(renewed)
        gateway.reload()
        wait_until(lambda: shown() == renewed.der, what="the new certificate")
        cert.write_text("broken")
        gateway.reload(**{"trace.slow": 1.0})
        gateway.seen.next_frame()
        assert renewed.der == shown()
        assert [(b"1",)] == rows(before.ask(query("SELECT 1")))


def test_a_slow_reader_over_tls_holds_up_the_server_and_not_the_memory(
    secured: Gateway, authority: Authority
) -> None:
    """TLS has buffers of its own; a result that nobody reads must not fill them (odyssey#1459)."""
    size, count = 1000, 60_000
    with direct(secured, context(authority)) as raw:
        raw.login(**names(secured))
        before = memory(secured)
        raw.send(query(f"SELECT repeat('x', {size}) FROM generate_series(1, {count})"))
        for _ in range(3):
            secured.seen.next_frame()
        assert memory(secured) - before < 16 << 20
        found = raw.until(b"Z")
        assert count == sum(kind == b"D" and len(payload) > size for kind, payload in found)


def memory(gateway: Gateway) -> int:
    """The worker's resident bytes."""
    return int(Path(f"/proc/{gateway.pids[0]}/statm").read_text().split()[1]) * 4096


def converse(raw: Raw, data: bytes, ready: int) -> list[Message]:
    """Send while what comes is read, in one thread: OpenSSL allows no two on one connection."""
    left, found = memoryview(data), []
    raw.socket.setblocking(False)
    while left:
        with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
            left = left[raw.socket.send(left[: 1 << 16]) :]
        if select.select([raw.socket], [], [], 0)[0]:
            with contextlib.suppress(ssl.SSLWantReadError):
                raw._more()
    raw.socket.settimeout(TIMEOUT)
    return raw.until(b"Z", ready, found)


def test_large_messages_both_ways_at_once_over_tls(secured: Gateway, authority: Authority) -> None:
    """Who sends and does not read meanwhile must not lock both sides (supavisor#993)."""
    text = "y" * 4_000_000
    with direct(secured, context(authority)) as raw:
        raw.login(**names(secured))
        found = rows(converse(raw, b"".join(query(f"SELECT '{text}'") for _ in range(4)), ready=4))
        assert [(text.encode(),)] * 4 == found
