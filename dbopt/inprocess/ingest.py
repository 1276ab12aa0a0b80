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
from math import isfinite

import msgspec
import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import ProtocolError
from dbopt.frames import bodies, frame
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
from dbopt.observation import Repeated, SlowStatement, StatementCount, TransactionCount
from dbopt.unixsocket import listen_private

log = structlog.get_logger("dbopt.inprocess")

MAX_CLIENTS = 256
_BYTES_A_SECOND = 4 << 20
_BURST = 3 * MAX_FRAME
_HELLO_TIMEOUT = 5.0
_PAUSE = 1.0
_MAX_BUCKET = 2500
"""Above a hundred years, see dbopt.histogram."""
_MAX_TEXT = 16_384
_MAX_ERRORS = 300
_MAX_NAME = 1000
_MAX_TAGS = 32
_decode = msgspec.msgpack.Decoder[ToDaemon](ToDaemon).decode

_Named = StatementCount | TransactionCount | Repeated | SlowStatement
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
        allowed, before = float(_BURST), self._clock()
        async for body in messages:
            message = _decode(body)
            if not isinstance(message, Report):
                raise ProtocolError("A pool said hello twice.")
            self._take(message)
            # Who sends more than its share is read later: its socket fills, and it waits.
            now = self._clock()
            allowed = min(_BURST, allowed + (now - before) * self._rate) - len(body)
            before = now
            if allowed < 0:
                await asyncio.sleep(-allowed / self._rate)

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


def check(report: Report) -> None:
    """Raise ProtocolError for what no pool of ours says: it would spoil the sums of all."""
    for rows in (report.counts, report.transactions, report.repeated, report.slow):
        _require(all(map(_names_fit, rows)))
    for count in report.counts:
        _require(_is_count(count))
    for transaction in report.transactions:
        _require(_is_transaction(transaction))
    for many in report.repeated:
        _require(_is_fingerprint(many.fingerprint) and 0 < many.transactions <= many.calls)
        _require(0 < many.most <= many.calls)
    for slow in report.slow:
        times = (
            slow.started, slow.duration_ms, slow.queue_ms, slow.server_ms, slow.transfer_ms,
        )  # fmt: skip
        _require(_is_fingerprint(slow.fingerprint) and _are_sums(*times, slow.rows))
        _require(len(slow.text) <= _MAX_TEXT and len(slow.sql) <= _MAX_TEXT)
        _require(len(slow.tags) <= _MAX_TAGS)
        _require(not slow.sqlstate or _is_sqlstate(slow.sqlstate))
    _require(report.lost >= 0)


def _names_fit(one: _Named) -> bool:
    names = (one.database, one.user, one.application, one.route)
    return all(len(name) <= _MAX_NAME for name in names)


def _require(holds: bool) -> None:
    if not holds:
        raise ProtocolError("A pool sent what cannot be true.")


def _is_count(c: StatementCount) -> bool:
    return (
        _is_fingerprint(c.fingerprint)
        and len(c.text) <= _MAX_TEXT
        and _are_sums(c.rows, c.queue_us, c.total_us, c.max_us, c.transfer_us, c.received, c.sent)
        and _are_buckets(c.buckets, c.calls)
        and len(c.errors) <= _MAX_ERRORS
        and all(_is_sqlstate(state) and number > 0 for state, number in c.errors.items())
        and sum(c.errors.values()) <= c.calls
    )


def _is_transaction(t: TransactionCount) -> bool:
    return (
        0 <= t.failed <= t.count
        and _are_sums(t.statements, t.total_us, t.max_us, t.idle_us, t.max_idle_us)
        and _are_buckets(t.buckets, t.count)
    )


def _is_fingerprint(number: int) -> bool:
    return 0 <= number < 1 << 64


def _is_sqlstate(state: str) -> bool:
    return len(state) == 5 and state.isascii() and state.isalnum()


def _are_sums(*values: float) -> bool:
    return all(isfinite(value) and value >= 0 for value in values)


def _are_buckets(buckets: dict[int, int], calls: int) -> bool:
    return (
        calls > 0
        and sum(buckets.values()) == calls
        and all(0 <= b <= _MAX_BUCKET and number > 0 for b, number in buckets.items())
    )
