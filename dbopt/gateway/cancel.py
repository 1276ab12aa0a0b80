"""Cancel requests: towards the server, on a connection of their own."""

from __future__ import annotations

import asyncio
import contextlib

from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.server_socket import Way, addresses, reach
from dbopt.wire import encode

_TIMEOUT = 5.0


class _Request(asyncio.Protocol):
    """One request; `closed` is set when the server has closed, and so has acted."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.closed = asyncio.Event()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment] # uvloop's is no asyncio.Transport
        self.transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed.set()


async def cancel(backend: Backend) -> None:
    """Ask the server to cancel what this backend runs; returns when the server has acted.

    The request goes the backend's own way: to the same address, and with TLS where that has
    TLS, so that nobody reads the key. A server that cannot be reached is no error: the
    statement then simply goes on. The backend must not be given to another client meanwhile:
    the cancel would hit that one.
    """
    if not backend.secret:
        return  # the server gave no key, so that nothing can be cancelled
    with contextlib.suppress(OSError, DboptError):
        async with asyncio.timeout(_TIMEOUT):
            await _cancel(backend)


async def _cancel(backend: Backend) -> None:
    target = backend.target
    address = backend.address or (await addresses(target))[0]
    data = encode.cancel_request(backend.pid, backend.secret)
    way = Way.TLS if backend.tls else Way.PLAIN
    request = await reach(lambda: _Request(data), target, address, way)
    try:
        await request.closed.wait()  # it answers nothing
    finally:
        request.transport.abort()
