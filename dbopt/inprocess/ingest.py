"""The daemon's side: in-process pools connect to trace.socket and report what they ran.

Who may connect is said by the socket's mode: the daemon's own user. All the same a client is
trusted with nothing: what it sends is bounded, checked, and costs it alone its connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable

import msgspec
import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import ProtocolError
from dbopt.frames import bodies, frame
from dbopt.inprocess.checking import check, rows_of
from dbopt.inprocess.messages import (
    MAX_FRAME,
    VERSION,
    Hello,
    Refused,
    Report,
    ToDaemon,
    ToPool,
    Welcome,
)
from dbopt.unixsocket import listen_private

log = structlog.get_logger("dbopt.inprocess")

MAX_CLIENTS = 256
_BYTES_A_SECOND = 4 << 20
_BURST = 3 * MAX_FRAME
_BYTES_A_ROW = 400
"""What a row costs at least, however short: it holds the loop up for some ten microseconds."""
_ALL = 4
"""All clients together may send so many times what one may."""
_HELLO_TIMEOUT = 5.0
_PAUSE = 1.0
_decode = msgspec.msgpack.Decoder[ToDaemon](ToDaemon).decode

Reported = Callable[[Report], None]


class Ingest:
    """Serves `path`. Each checked Report goes to `reported`; `welcome` gives the settings.

    `clients` says how many pools report now, `refused` how many were sent away or cut off.
    """

    def __init__(
        self,
        path: str,
        reported: Reported,
        welcome: Callable[[], Welcome],
        *,
        max_clients: int = MAX_CLIENTS,
        bytes_a_second: float = _BYTES_A_SECOND,
        clock: Clock = monotonic,
    ) -> None:
        self.path = path
        self.refused = 0
        self.lost = 0
        self._reported = reported
        self._welcome = welcome
        self._max_clients = max_clients
        self._rate = bytes_a_second
        self._clock = clock
        self._all = Allowance(_ALL * bytes_a_second, _ALL * _BURST, clock)
        self._listener: socket.socket | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def clients(self) -> int:
        """How many pools are connected."""
        return len(self._tasks)

    async def start(self) -> None:
        """Listen. Raises ConfigError, see listen_private."""
        listener = self._listener = listen_private(self.path, "trace.socket")
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def close(self) -> None:
        """Close all connections and remove the socket's file."""
        if self._listener is None:
            return
        asyncio.get_running_loop().remove_reader(self._listener)
        self._listener.close()
        self._listener = None
        with contextlib.suppress(OSError):
            os.unlink(self.path)
        await asyncio.sleep(0)  # A task that is cancelled before it begins closes nothing.
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accept(self, listener: socket.socket) -> None:
        # Not loop.sock_accept, which loses a connection that comes as it is cancelled.
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionError):
            return  # It went away again.
        except OSError:
            self._pause(listener)
            return
        sock.setblocking(False)
        task = asyncio.create_task(self._client(sock))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _pause(self, listener: socket.socket) -> None:
        """There are no file descriptors left, as a rule; asked at once again, it would spin."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener)
        loop.call_later(_PAUSE, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if listener is self._listener:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    async def _client(self, sock: socket.socket) -> None:
        with sock:
            reader, writer = await asyncio.open_unix_connection(sock=sock, limit=MAX_FRAME)
            try:
                if len(self._tasks) > self._max_clients:
                    raise ProtocolError(f"There are {self._max_clients} pools already.")  # noqa: TRY301 - one place cuts off
                await self._serve(reader, writer)
            except (ProtocolError, msgspec.MsgspecError, TimeoutError, OSError) as error:
                self._cut_off(writer, error)
            finally:
                # What it has not taken by now it will not take: closing must not wait for it.
                writer.transport.abort()
                await asyncio.sleep(0)

    def _cut_off(self, writer: asyncio.StreamWriter, error: Exception) -> None:
        self.refused += 1
        reason = error.message if isinstance(error, ProtocolError) else "It could not be read."
        log.warning("an in-process pool was cut off", reason=reason)
        with contextlib.suppress(OSError):
            writer.write(frame(Refused(reason)))  # It is sent at once, or not at all.

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        messages = bodies(reader, MAX_FRAME)
        async with asyncio.timeout(_HELLO_TIMEOUT):
            first = await anext(messages, None)
        if first is None:
            return
        self._answer(writer, _decode(first))
        own = Allowance(self._rate, _BURST, self._clock)
        async for body in messages:
            # Who sends more than its share is read later: its socket fills, and it waits. At
            # least the loop's turn ends: of short reports a buffer holds thousands.
            await asyncio.sleep(max(own.spend(len(body)), self._all.spend(len(body))))
            message = _decode(body)
            if not isinstance(message, Report):
                raise ProtocolError("A pool said hello twice.")
            self._take(message)
            more = max(_BYTES_A_ROW * rows_of(message) - len(body), 0)
            own.spend(more)
            self._all.spend(more)

    def _answer(self, writer: asyncio.StreamWriter, hello: Hello | Report) -> None:
        if not isinstance(hello, Hello):
            raise ProtocolError("A pool did not say hello.")
        if hello.version != VERSION:
            raise ProtocolError(
                f"The pool speaks version {hello.version} and the daemon {VERSION}: install the "
                "same version of dbopt for both."
            )
        answer: ToPool = self._welcome()
        writer.write(frame(answer))

    def _take(self, report: Report) -> None:
        check(report)
        self.lost += report.lost
        try:
            self._reported(report)
        except Exception as error:
            # A mistake of ours is not the client's. The type alone: words might hold a literal.
            log.error("a report could not be taken", error=type(error).__name__)  # noqa: TRY400


class Allowance:
    """Bytes that may be taken: `rate` a second, and `burst` at once."""

    def __init__(self, rate: float, burst: float, clock: Clock) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left, self._at = burst, clock()

    def spend(self, cost: float) -> float:
        """Take so many, more than there are if need be; for how many seconds to wait then."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._rate) - cost
        self._at = now
        return max(-self._left / self._rate, 0.0)
