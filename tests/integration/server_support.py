"""Connections to servers by the gateway's own code, and proxies in between."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, TypeVar

import uvloop
from psycopg.conninfo import conninfo_to_dict

from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.target import Targets, targets
from dbopt.gateway.userlist import Userlist
from dbopt.wire import encode
from tests.fix_tls import UNCHECKED, Pair
from tests.support import wait_until_async

T = TypeVar("T")
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}
SSL_REQUEST = encode.ssl_request()


@dataclass
class Owner:
    """The pool that backends belong to."""

    failures: list[DboptError] = field(default_factory=list)
    lost: list[Backend] = field(default_factory=list)

    def connect_failed(self, error: DboptError) -> None:
        self.failures.append(error)

    def backend_lost(self, backend: Backend) -> None:
        self.lost.append(backend)

    async def any_lost(self) -> bool:
        return bool(self.lost)


def targets_of(dsn: str, **overrides: Any) -> Targets:
    """What the gateway makes of a conninfo."""
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items()}
    parts |= {key: str(value) for key, value in overrides.items()}
    return targets(parts, parts["dbname"], parts["user"], Userlist({}))


@asynccontextmanager
async def backend(
    to: Targets, timeout: float = 10.0, connect_query: str = ""
) -> AsyncIterator[Backend]:
    """A backend that is shown to work, and closed at the end."""
    owner = Owner()
    made = await Backend.connect(
        "", targets=to, owner=owner, statements=10, timeout=timeout, connect_query=connect_query
    )
    try:
        await made.rollback()
        yield made
    finally:
        await made.close()
        await wait_until_async(owner.any_lost, what="the backend's end")


def run(work: Awaitable[T], loop: str = "uvloop") -> T:
    """The result of `work` on a loop of its own, with whatever the loop complains of raised."""
    complaints: list[Mapping[str, Any]] = []

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
        return await work

    with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
        result = runner.run(watched())
    assert [] == complaints, complaints
    return result


async def outcome(to: Targets) -> str:
    """ "TLS" or "plain", or why there is no connection."""
    try:
        async with backend(to) as made:
            return "TLS" if made.tls else "plain"
    except DboptError as error:
        return error.message


Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(script: Script, **options: Any) -> AsyncIterator[int]:
    """A server of our own on 127.0.0.1; gives its port."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await script(reader, writer)
        await ended(writer)
        tasks.discard(task)

    server = await asyncio.start_server(handle, "127.0.0.1", 0, **options)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def ended(writer: asyncio.StreamWriter) -> None:
    """Cut, and see it closed: a loop that ends earlier leaves the socket open."""
    writer.close()
    with suppress(OSError, TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    writer.transport.abort()


def server_context(pair: Pair, alpn: bool = True) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.cert, pair.key)
    if alpn:
        context.set_alpn_protocols(["postgresql"])
    return context


def terminating(
    port: int, pair: Pair, *, edit: Callable[[bytes], bytes] = lambda data: data, tls: bool = False
) -> Script:
    """Ends the client's TLS with `pair`, after an SSLRequest, and speaks to `port` for it.

    `edit` changes what the server says; `tls`: speak TLS to the server too.
    """

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == SSL_REQUEST
        writer.write(b"S")
        await writer.drain()
        await writer.start_tls(server_context(pair))
        await relay(reader, writer, port, edit, tls)

    return script


async def relay(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    port: int,
    edit: Callable[[bytes], bytes] = lambda data: data,
    tls: bool = False,
) -> None:
    """Pass bytes both ways until an end."""
    far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
    if tls:
        far_writer.write(SSL_REQUEST)
        assert await far_reader.readexactly(1) == b"S"
        await far_writer.start_tls(UNCHECKED, server_hostname="localhost")

    async def copy(
        source: asyncio.StreamReader, sink: asyncio.StreamWriter, change: Callable[[bytes], bytes]
    ) -> None:
        with suppress(OSError):
            while data := await source.read(1 << 16):
                sink.write(change(data))
                await sink.drain()
        sink.close()

    try:
        await asyncio.gather(
            copy(reader, far_writer, lambda data: data), copy(far_reader, writer, edit)
        )
    finally:
        await ended(far_writer)
