"""The connection of a shared listener: queries out, answers and notifications in.

PostgreSQL answers in order, so a queue tells which answer is whose. What is sent in one turn of
the loop goes out in one write.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, NamedTuple, Protocol

from dbopt.clock import Clock
from dbopt.errors import DboptError, ProtocolError, ServerLost
from dbopt.gateway.backend import Backend
from dbopt.gateway.routes import Route
from dbopt.gateway.subscriptions import Channel
from dbopt.wire import encode
from dbopt.wire.report import ErrorResponse
from dbopt.wire.scan import messages
from dbopt.wire.types import B_ERROR, B_NOTIFICATION, B_READY_FOR_QUERY

ANSWER_TIMEOUT: Final = 5.0
"""Seconds within which the server answers, or its connection is given up."""
CHECK_EVERY: Final = 30.0
"""Seconds of silence after which the server is asked whether it is still there.

A firewall or a failover may end a connection without a word, and with it the notifications.
"""
_MAX_MESSAGE: Final = 1 << 20
"""A payload has less than 8000 bytes; an error with its context may have more."""
CHECK: Final = encode.query(b"")
"""A query that does nothing, but is answered."""
_FATAL: Final = frozenset(("FATAL", "PANIC"))
_HINT: Final = "Connect again, LISTEN again, and read anew what the notifications tell of."


class Owner(Protocol):
    """The shared listener."""

    def notification(self, message: bytes) -> None:
        """A whole NotificationResponse. Raises ProtocolError for one that cannot be read."""

    def answered(self, channel: Channel, refusal: ErrorResponse | None) -> None:
        """The server listens to the channel, or says why not."""

    def lost(self, error: DboptError) -> None:
        """The connection has ended, or was given up."""


class _Request(NamedTuple):
    """A query without an answer; `channel` is the one that is to be listened to."""

    channel: Channel | None
    sent: float


class Line:
    """See the module. It is a backend.Holder. `owner` is told `lost` once, unless it left itself.

    `name` says in errors what was lost. `turn` is how often it has sent: what is asked for is sent
    when that grows.
    """

    pinned = "listens"

    def __init__(self, backend: Backend, owner: Owner, name: str, clock: Clock) -> None:
        self.backend = backend
        self.gone = False
        self.turn = 0
        self._owner = owner
        self._name = name
        self._clock = clock
        self._heard = clock()
        self._requests: deque[_Request] = deque()
        self._refusal: ErrorResponse | None = None
        self._fatal = ""
        self._rest = b""
        self._out: list[bytes] = []
        backend.holder = self

    def send(self, query: bytes, channel: Channel | None = None) -> None:
        """Send a Query; its answer goes to `owner.answered` where it has a channel."""
        self._requests.append(_Request(channel, self._clock()))
        if not self._out:
            asyncio.get_running_loop().call_soon(self._flush)
        self._out.append(query)

    def _flush(self) -> None:
        out, self._out = b"".join(self._out), []
        self.turn += 1
        if not self.gone:
            self.backend.transport.write(out)

    def check(self, now: float) -> None:
        """Once in a while: give a server up that does not answer."""
        if not self._requests:
            if now - self._heard > CHECK_EVERY:
                self.send(CHECK)
        elif now - self._requests[0].sent > ANSWER_TIMEOUT:
            self.give_up(f"The server did not answer within {ANSWER_TIMEOUT:g} s.")

    # backend.Holder

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        self._heard = self._clock()
        data = self._rest + data
        end = 0
        try:
            for kind, start, end in messages(data):
                self._message(kind, data[start:end])
                if self.gone:
                    return
        except ProtocolError as error:
            self.give_up(error.message)
            return
        self._rest = data[end:]
        if len(self._rest) > _MAX_MESSAGE:
            self.give_up("The server sent a message of more than a megabyte.")

    def server_lost(self) -> None:
        """See backend.Holder."""
        if not self.gone:
            self._end()
            self.backend.owner.backend_lost(self.backend)
            self._tell(self._fatal or "The server closed the connection unexpectedly.")

    def pause_reading(self) -> None:
        """See backend.Holder: what is sent is bounded by the number of channels."""

    def resume_reading(self) -> None:
        """See backend.Holder."""

    def tick(self, now: float, route: Route) -> None:
        """See backend.Holder: no timeout of a client's is meant for it."""

    def _message(self, kind: int, message: bytes) -> None:
        if kind == B_NOTIFICATION:
            self._owner.notification(message)
        elif kind == B_READY_FOR_QUERY:
            self._answered()
        elif kind == B_ERROR:
            error = ErrorResponse.parse(message[5:])
            if error.severity in _FATAL:
                self._fatal = error.message
            else:
                self._refusal = error

    def _answered(self) -> None:
        if not self._requests:
            raise ProtocolError("The server is ready for a query that nobody sent.")
        channel, refusal = self._requests.popleft().channel, self._refusal
        self._refusal = None
        if channel is not None:
            self._owner.answered(channel, refusal)

    # How it ends

    def give_up(self, reason: str) -> None:
        """End it, and tell the owner why."""
        if not self.gone:
            self._end()
            self.backend.abort()
            self._tell(reason)

    async def leave(self) -> None:
        """Say goodbye to the server; the owner knows."""
        if not self.gone:
            self._end()
            await self.backend.close()

    def _end(self) -> None:
        self.gone = True
        self.backend.holder = None

    def _tell(self, reason: str) -> None:
        self._owner.lost(ServerLost(f"{self._name} was lost: {reason}", hint=_HINT))
