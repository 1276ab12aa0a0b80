"""The pool's end of the daemon's socket: blocking, for a second at most, in a thread of its own."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Iterator

import msgspec
from msgspec.structs import replace

from dbopt.clock import Clock, backoff, monotonic
from dbopt.frames import LENGTH, frame
from dbopt.inprocess.messages import VERSION, Hello, Refused, Report, ToPool, Welcome

log = logging.getLogger("dbopt.inprocess")

_TIMEOUT = 1.0
"""Seconds that the daemon may take to read or answer; then it is as good as gone."""
_MAX_ANSWER = 65_536
_MAX_TEXTS = 10_000
_decode = msgspec.msgpack.Decoder[ToPool](ToPool).decode


class Link:
    """A connection to the daemon, opened anew after it was lost, ever later while it is away.

    `welcomed` hears of the daemon's settings. Not for several threads.
    """

    def __init__(
        self, path: str, name: str, welcomed: Callable[[Welcome], None], clock: Clock = monotonic
    ) -> None:
        self.path = path
        self._name = name
        self._welcomed = welcomed
        self._clock = clock
        self._sock: socket.socket | None = None
        self._told: set[int] = set()
        self._said = ""
        self._calm()

    def _calm(self) -> None:
        self._waits: Iterator[float] = backoff(0.5, 30.0)
        self._not_before = 0.0

    @property
    def connected(self) -> bool:
        """Whether the daemon was there when it was last looked for."""
        return self._sock is not None

    def send(self, reports: Iterator[Report], timeout: float = _TIMEOUT) -> int:
        """Send them; tells how many have gone, and is 0 while the daemon is away. Never raises."""
        sent = 0
        try:
            sock = self._sock or self._connect(timeout)
            if sock is None:
                return 0
            sock.settimeout(timeout)
            for report in reports:
                data = self._encoded(report)
                if data:
                    sock.sendall(data)
                self._told.update(count.fingerprint for count in report.counts)
                sent += 1
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            self._lost(error)
        return sent

    def _encoded(self, report: Report) -> bytes:
        try:
            return frame(self._shortened(report))
        except (ValueError, OverflowError) as error:
            # Tried again it would fail again, and keep all that comes after it waiting.
            log.warning("a report cannot be sent: %s", type(error).__name__)
            return b""

    def close(self) -> None:
        """Close it; a later `send` opens it again."""
        if self._sock is not None:
            with contextlib.suppress(OSError):
                self._sock.close()
        self._sock = None

    def _connect(self, timeout: float) -> socket.socket | None:
        now = self._clock()
        if now < self._not_before:
            return None
        # Before the attempt: whatever goes wrong in it, the next is later.
        self._not_before = now + next(self._waits)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(timeout)
            sock.connect(self.path)
            sock.sendall(frame(Hello(VERSION, os.getpid(), self._name)))
            self._greeted(_decode(_read(sock, timeout)))
        except BaseException:
            sock.close()
            raise
        self._sock = sock
        self._calm()
        self._said = ""
        self._told.clear()
        return sock

    def _greeted(self, answer: ToPool) -> None:
        if isinstance(answer, Refused):
            raise ConnectionRefusedError(answer.reason)
        self._welcomed(answer)

    def _lost(self, error: Exception) -> None:
        self.close()
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if said != self._said:  # Once, not each second.
            log.info("the daemon at %s does not take reports: %s", self.path, said)
        self._said = said

    def _shortened(self, report: Report) -> Report:
        """Without the texts that the daemon has had over this connection."""
        if len(self._told) > _MAX_TEXTS:
            self._told.clear()
        counts = [replace(c, text="") if c.fingerprint in self._told else c for c in report.counts]
        return replace(report, counts=counts)


def _read(sock: socket.socket, timeout: float) -> bytes:
    deadline = monotonic() + timeout
    size = int.from_bytes(_exactly(sock, LENGTH, deadline))
    if size > _MAX_ANSWER:
        raise ValueError("the answer is too long")
    return _exactly(sock, size, deadline)


def _exactly(sock: socket.socket, size: int, deadline: float) -> bytes:
    data = b""
    while len(data) < size:
        # Of all parts together: each may come just in time.
        sock.settimeout(max(deadline - monotonic(), 0.001))
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionResetError("it closed the connection")
        data += part
    return data
