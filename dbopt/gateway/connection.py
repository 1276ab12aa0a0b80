"""What both stages of a client connection share: the transport, and how it ends."""

from __future__ import annotations

import asyncio

from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.routes import Route
from dbopt.wire import encode


class Connection(asyncio.Protocol):
    """A client's transport, and the backend that is leased for it, if any."""

    __slots__ = (
        "_read_paused", "_write_paused", "application", "backend", "closed", "transport", "waiting",
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self) -> None:
        self.closed = False
        self.application = ""  # it is not known before the client is welcomed
        self.backend: Backend | None = None
        self.waiting = False
        self._write_paused = False
        self._read_paused = False

    @property
    def pinned(self) -> str:
        """See backend.Holder."""
        return ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = transport  # type: ignore[assignment] # uvloop's is no asyncio.Transport

    def pause_writing(self) -> None:
        """See asyncio: the client reads slower than the server sends."""
        self._write_paused = True
        if self.backend is not None and not self.backend.closed:
            self.backend.transport.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._write_paused = False
        if self.backend is not None and not self.backend.closed:
            self.backend.transport.resume_reading()

    def pause_reading(self) -> None:
        """See backend.Holder."""
        if not self.closed:
            self._read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """See backend.Holder."""
        if self._read_paused and not self.closed:
            self._read_paused = False
            self.transport.resume_reading()

    def tick(self, now: float, route: Route) -> None:
        """See backend.Holder."""

    def idle_tick(self, now: float, timeout: float) -> None:
        """A moment of time: a client that has sent nothing for `timeout` seconds is closed."""

    def let_in(self) -> None:
        """See leases.Waiter."""

    def queued(self, seconds: float, ahead: int) -> None:
        """See multiplexer.Waiter."""

    def fatal(self, error: DboptError) -> None:
        """Tell the client why, and close."""
        self.fatal_bytes(encode.error_response(error, "FATAL"))

    def fatal_bytes(self, message: bytes) -> None:
        """Send a last message, and close."""
        if not self.closed:
            self.transport.write(message)
            self.close()

    def close(self) -> None:
        """Flush what was written, and close."""
        if not self.closed:
            self.closed = True
            self.leave()
            self.transport.close()

    def leave(self) -> None:
        """The client is gone, or is about to be: let go of all that is held for it."""
