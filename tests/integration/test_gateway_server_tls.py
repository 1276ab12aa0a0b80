"""Clients of a gateway whose backends speak TLS."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from dbopt.demo.cluster import EmbeddedCluster
from dbopt.gateway.cancel import cancel
from dbopt.wire import encode
from tests.fix_gateway import Gateway, GatewayFactory
from tests.fix_pg import Server
from tests.fix_tls import Authority, Pair, TlsServer
from tests.integration.gateway_support import bind, execute, parse, raw_client, shape
from tests.integration.gateway_support import rows as rows_of
from tests.integration.server_support import (
    LOOPS,
    SSL_REQUEST,
    backend,
    relay,
    run,
    server_context,
    serving,
    targets_of,
)
from tests.support import wait_until

MIB = 1 << 20


@pytest.fixture
def secured(make_gateway: GatewayFactory, tls_pg: TlsServer, authority: Authority) -> Gateway:
    """A gateway with one backend, which speaks TLS."""
    dsn = tls_pg.dsn(host="localhost", sslmode="verify-full", sslrootcert=str(authority.cert))
    return make_gateway(dsn, pool__max_size=1)


def test_its_backends_speak_tls(secured: Gateway) -> None:
    with secured.connect() as connection:
        row = connection.execute(
            "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        ).fetchone()
    assert (True, "TLSv1.3") == row


def test_a_server_without_tls(make_gateway: GatewayFactory, pg_server: EmbeddedCluster) -> None:
    gateway = make_gateway(pg_server.dsn() + " sslmode=require")
    with pytest.raises(psycopg.OperationalError, match="has no TLS, and sslmode=require"):
        gateway.connect().close()


def test_a_cancel(secured: Gateway) -> None:
    with secured.connect() as connection:
        ended = threading.Event()

        def cancel() -> None:  # also one that comes before the statement, and does nothing
            while not ended.wait(0.3):
                connection.cancel_safe()

        thread = threading.Thread(target=cancel)
        thread.start()
        with pytest.raises(psycopg.errors.QueryCanceled):
            connection.execute("SELECT pg_sleep(60)")
        ended.set()
        thread.join()
        assert (1,) == connection.execute("SELECT 1").fetchone()


def test_the_server_restarts_its_backends(secured: Gateway, tls_pg: TlsServer) -> None:
    with secured.connect() as connection, psycopg.connect(tls_pg.dsn()) as other:
        (pid,) = connection.execute("SELECT pg_backend_pid()").fetchone() or (0,)
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        (fresh,) = wait_until(lambda: _pid(connection), what="a new backend") or (0,)
        assert pid != fresh


def _pid(connection: psycopg.Connection[tuple[int]]) -> tuple[int] | None:
    try:
        return connection.execute("SELECT pg_backend_pid()").fetchone()
    except psycopg.errors.AdminShutdown:
        return None


def rss(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def test_a_big_result_to_a_client_that_reads_late(secured: Gateway) -> None:
    """odyssey#1459: what TLS has decrypted waits in memory, or is forgotten."""
    (worker,) = secured.pids
    with raw_client(secured.dsn()) as raw:
        raw.ask(_query("SELECT 1"))
        before = rss(worker)
        raw.send(_query("SELECT repeat(md5(i::text), 320) FROM generate_series(1, 10000) i"))
        # It has all the time to take too much: until the server itself is held up.
        wait_until(lambda: _is_held_up(secured), what="the server to wait for its client")
        assert rss(worker) - before < 24 * MIB
        values = rows_of(raw.until(b"Z"))
    assert 10_000 == len(values)
    expected = [hashlib.md5(b"%d" % i).hexdigest().encode() * 320 for i in (1, 5000, 10_000)]  # noqa: S324
    assert expected == [values[i - 1][0] for i in (1, 5000, 10_000)]
    assert rss(worker) - before < 24 * MIB


def _query(sql: str) -> bytes:
    return encode.query(sql.encode())


def _is_held_up(gateway: Gateway) -> bool:
    with psycopg.connect(gateway.settings.server.dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'ClientWrite'"
        ).fetchone()
    return row == (1,)


def test_much_both_ways_at_once(secured: Gateway) -> None:
    """supavisor#993: each side waits for the other to read, and nobody does."""
    count, text = 48, "x" * MIB
    with raw_client(secured.dsn()) as raw:
        data = parse("SELECT $1::text || $2::text")
        data += b"".join(bind(text, str(number)) + execute() for number in range(count))
        sender = threading.Thread(target=raw.send, args=(data + encode.sync(),))
        sender.start()
        found = raw.until(b"Z")
        sender.join()
    assert "1" + "2DC" * count + "Z" == shape(found)
    assert [f"{text}{number}".encode() for number in range(count)] == [r[0] for r in rows_of(found)]


# Cancels go the backend's own way


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(("mode", "expected"), [("require", SSL_REQUEST), ("disable", b"cancel")])
def test_a_cancel_is_encrypted_where_the_backend_is(
    tls_pg: TlsServer, mode: str, expected: bytes, loop: str
) -> None:
    first_words: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", tls_pg.port)
        first = await reader.readexactly(8)
        first_words.append(first)
        far_writer.write(first)
        await pump(reader, writer, far_reader, far_writer)

    async def play() -> None:
        async with serving(script) as port:
            to = targets_of(tls_pg.dsn(), port=port, sslmode=mode)
            async with backend(to) as made:
                await cancel(made)

    run(play(), loop)
    code = encode.cancel_request(0, b"1234")[:8]
    assert {b"cancel": code}.get(expected, expected) == first_words[1]
    assert 2 == len(first_words)


async def pump(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    far_reader: asyncio.StreamReader,
    far_writer: asyncio.StreamWriter,
) -> None:
    async def copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(1 << 16):
            sink.write(data)
        sink.close()

    try:
        await asyncio.gather(copy(reader, far_writer), copy(far_reader, writer))
    finally:
        far_writer.close()


def test_a_cancel_over_direct_tls(
    pg_backend: Server, authority: Authority, server_cert: Pair
) -> None:
    port = targets_of(pg_backend.dsn).hosts[0].port
    count = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        count += 1
        await relay(reader, writer, port)

    async def play() -> str:
        async with serving(script, ssl=server_context(server_cert)) as proxy:
            to = targets_of(
                pg_backend.dsn, host="localhost", port=proxy, sslmode="verify-full",
                sslnegotiation="direct", sslrootcert=authority.cert,
            )  # fmt: skip
            async with backend(to) as made:
                made.transport.write(_query("SELECT pg_sleep(60)"))
                told = Holder()
                made.holder = cast(Any, told)
                async with asyncio.timeout(30):
                    while not told.heard.is_set():  # one that comes too early does nothing
                        await cancel(made)
                        with suppress(TimeoutError):
                            await asyncio.wait_for(told.heard.wait(), 1)
                made.holder = None
                return told.data.decode("latin-1")

    assert "57014" in run(play())
    assert count >= 2


class Holder:
    """Who has leased the backend."""

    def __init__(self) -> None:
        self.data = b""
        self.heard = asyncio.Event()

    def from_server(self, data: bytes) -> None:
        self.data += data
        self.heard.set()

    def server_lost(self) -> None:
        self.heard.set()

    def pause_reading(self) -> None:
        """Nothing is sent."""

    resume_reading = pause_reading


def test_direct_tls_through_the_gateway(
    make_gateway: GatewayFactory, pg_backend: Server, authority: Authority, server_cert: Pair
) -> None:
    """A whole session, over a proxy that has the TLS which the embedded server lacks."""
    port = targets_of(pg_backend.dsn).hosts[0].port
    ready, done = threading.Event(), threading.Event()
    places: list[int] = []

    async def play() -> None:
        context = server_context(server_cert)
        async with serving(lambda r, w: relay(r, w, port), ssl=context) as proxy:
            places.append(proxy)
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=lambda: asyncio.run(play()))
    thread.start()
    try:
        assert ready.wait(10)
        gateway = make_gateway(
            f"host=localhost port={places[0]} user=postgres dbname=postgres sslmode=verify-full "
            f"sslnegotiation=direct sslrootcert={authority.cert}"
        )
        with gateway.connect() as connection:
            assert (7,) == connection.execute("SELECT 7").fetchone()
        gateway.drain()
    finally:
        done.set()
        thread.join()
