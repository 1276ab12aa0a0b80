"""The HTTP server: uvicorn in the control process's own loop, without its signals and logs."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from dbopt.gateway import listener

_BACKLOG = 128
_MAX_CONCURRENCY = 64
_KEEP_ALIVE = 5
_GRACE = 2
"""Seconds that a running request may take when the server stops."""


class _Embedded(uvicorn.Server):
    """uvicorn that leaves signals to the daemon, and says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.serving = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """The daemon has its own handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve, and say so."""
        await super().startup(sockets)
        self.serving.set()


class HttpServer:
    """One ASGI application on one address. `listen`, `start`, `stop`, in this order."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._socket: socket.socket | None = None
        self._server: _Embedded | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port; the real port once it listens."""
        if self._socket is None:
            return self._host, self._port
        host, port = self._socket.getsockname()[:2]
        return host, port

    def listen(self) -> None:
        """Take the address. Raises ConfigError where it cannot be had."""
        self._socket = listener.tcp(self._host, self._port, section="http", backlog=_BACKLOG)

    async def start(self) -> None:
        """Serve in the running loop; returns once requests are answered."""
        if self._socket is None:
            self.listen()
        self._server = _Embedded(
            uvicorn.Config(
                self._app,
                lifespan="off",
                http="h11",
                ws="none",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                backlog=_BACKLOG,
                limit_concurrency=_MAX_CONCURRENCY,
                timeout_keep_alive=_KEEP_ALIVE,
                timeout_graceful_shutdown=_GRACE,
            )
        )
        sockets = [self._socket] if self._socket else []
        self._task = asyncio.create_task(self._server.serve(sockets), name="dbopt-http")
        serving = asyncio.create_task(self._server.serving.wait())
        await asyncio.wait([serving, self._task], return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        if self._task.done():
            await self._task

    async def stop(self) -> None:
        """Let running requests end, and close the address."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
            self._server = self._task = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
