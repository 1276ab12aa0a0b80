"""Direct TLS, and who stands between the gateway and its server."""

from __future__ import annotations

import asyncio

import pytest

from tests.fix_pg import Server
from tests.fix_tls import Authority, Pair, TlsServer
from tests.integration.server_support import (
    LOOPS,
    SSL_REQUEST,
    backend,
    outcome,
    relay,
    run,
    server_context,
    serving,
    targets_of,
    terminating,
)

# Direct TLS (PostgreSQL 17; the embedded 18 has no TLS: a proxy has it)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("alpn", "expected"), [(True, "TLS"), (False, "did not agree")])
def test_direct_tls(
    pg_backend: Server,
    authority: Authority,
    server_cert: Pair,
    alpn: bool,
    expected: str,
    loop: str,
) -> None:
    port = targets_of(pg_backend.dsn).hosts[0].port

    async def play() -> str:
        context = server_context(server_cert, alpn)
        async with serving(lambda r, w: relay(r, w, port), ssl=context) as proxy:
            to = targets_of(
                pg_backend.dsn, host="localhost", port=proxy, sslmode="verify-full",
                sslnegotiation="direct", sslrootcert=authority.cert,
            )  # fmt: skip
            return await outcome(to)

    assert expected in run(play(), loop)


def test_direct_tls_with_an_old_server(tls_pg: TlsServer) -> None:
    to = targets_of(tls_pg.dsn(), sslmode="require", sslnegotiation="direct")
    assert "TLS with PostgreSQL" in run(outcome(to))


# Who stands in between


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("answer", [b"S", b"N"])
def test_data_before_the_handshake_is_refused(answer: bytes, loop: str) -> None:
    """CVE-2021-3935, CVE-2021-23222: who stands in between adds plain text to the answer."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(answer + b"R\0\0\0\x08\0\0\0\0")
        await reader.read(1)

    async def play() -> str:
        async with serving(script) as port:
            return await outcome(targets_of(f"host=127.0.0.1 port={port} dbname=x user=x"))

    assert "CVE-2021-23222" in run(play(), loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_data_before_the_handshake_that_come_later(loop: str, server_cert: Pair) -> None:
    """The same, a moment after the answer: TLS takes them for its own, and fails."""

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await reader.readexactly(1)  # the handshake has begun
        writer.write(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\5I")
        await reader.read()

    async def play() -> str:
        async with serving(script) as port:
            dsn = f"host=127.0.0.1 port={port} dbname=x user=x sslmode=require"
            return await outcome(targets_of(dsn))

    assert "TLS with PostgreSQL" in run(play(), loop)


@pytest.mark.parametrize(
    ("answer", "expected"), [(b"", "closed"), (b"E", "with an error"), (b"x", "with an error")]
)
def test_other_answers(answer: bytes, expected: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert SSL_REQUEST == await reader.readexactly(8)
        writer.write(answer)

    async def play() -> str:
        async with serving(script) as port:
            dsn = f"host=127.0.0.1 port={port} dbname=x user=x sslmode=require"
            return await outcome(targets_of(dsn))

    assert expected in run(play())


@pytest.mark.parametrize("loop", LOOPS)
def test_a_server_that_closes_in_the_handshake(loop: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await reader.readexactly(10)

    async def play() -> str:
        async with serving(script) as port:
            dsn = f"host=127.0.0.1 port={port} dbname=x user=x sslmode=require"
            return await outcome(targets_of(dsn))

    assert "TLS with PostgreSQL" in run(play(), loop)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("answer", [b"", b"S"])
def test_a_server_that_says_nothing(answer: bytes, loop: str) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        await reader.read()
        await reader.read()

    async def play() -> str:
        async with serving(script) as port:
            to = targets_of(f"host=127.0.0.1 port={port} dbname=x user=x sslmode=require")
            try:
                async with backend(to, timeout=0.3):
                    return "connected"
            except Exception as error:
                return str(error)

    assert "did not answer within 0.3 s" in run(play(), loop)


def test_through_a_proxy_that_is_trusted(tls_pg: TlsServer, authority: Authority) -> None:
    """What TLS alone does not see: a certificate of the right name in the wrong hands."""
    stolen = authority.issue("localhost", ["localhost", "127.0.0.1"])

    async def play() -> str:
        async with serving(terminating(tls_pg.port, stolen, tls=True)) as port:
            to = targets_of(
                tls_pg.dsn(), port=port, sslmode="verify-full", sslrootcert=authority.cert
            )
            return await outcome(to)

    assert "TLS" == run(play())
