"""Cancel requests: towards the server, on a connection of their own."""

from __future__ import annotations

import asyncio
import contextlib

from dbopt.gateway.backend import Backend
from dbopt.wire import encode

_TIMEOUT = 5.0


async def cancel(backend: Backend) -> None:
    """Ask the server to cancel what this backend runs; returns when the server has acted.

    A server that cannot be reached is no error: the statement then simply goes on. The
    backend must not be given to another client meanwhile: the cancel would hit that one.
    """
    if not backend.secret:
        return  # the server gave no key, so that nothing can be cancelled
    target = backend.target
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(_TIMEOUT):
            if target.socket_path:
                reader, writer = await asyncio.open_unix_connection(target.socket_path)
            else:
                reader, writer = await asyncio.open_connection(target.host, target.port)
            try:
                writer.write(encode.cancel_request(backend.pid, backend.secret))
                # The server closes once it has sent the signal; it answers nothing.
                await reader.read()
            finally:
                writer.close()
