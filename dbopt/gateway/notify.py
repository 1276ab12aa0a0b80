"""LISTEN in transaction mode: one connection listens for all clients of a database.

A client that listens has no backend of its own between its transactions, so the server would
have nobody to notify. Here a connection outside the pools does the listening, and what it
hears goes to whoever subscribed. If it is lost, who subscribed is told: a notification that is
silently missed is worse than a connection that is closed.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import Final, NamedTuple, ParamSpec

import structlog

from dbopt.clock import Clock, backoff, monotonic
from dbopt.errors import (
    ConnectError,
    DboptError,
    ListenRefused,
    ServerLost,
    ServerRefused,
    ShuttingDown,
    TooManyChannels,
)
from dbopt.gateway.backend import Backend
from dbopt.gateway.channels import channel_of, clip, listen, unlisten
from dbopt.gateway.listen_line import CHECK, Line
from dbopt.gateway.subscriptions import Channel, Done, Subscriber, Subscriptions, Wish
from dbopt.wire.report import ErrorResponse

__all__ = ["ListenerSnapshot", "SharedListener", "Subscriber"]

log = structlog.get_logger("dbopt.gateway")
P = ParamSpec("P")

MAX_CHANNELS: Final = 10_000
"""Channels of one listener. The server goes through all of them at each notification."""
MAX_QUEUED: Final = 100_000
"""Subscriptions that may wait for the connection."""
PATIENCE: Final = 5.0
"""Seconds that a subscription waits for the connection."""
GRACE: Final = 1.0
"""Seconds that a channel stays after the last has left it: who comes back costs nothing."""
IDLE_TIMEOUT: Final = 10.0
"""Seconds that the connection stays when nobody listens."""
_MAX_DELAY: Final = 5.0
"""Seconds between two attempts to connect, at most."""


class ListenerSnapshot(NamedTuple):
    """How a listener is. A notification counts as often as it was forwarded."""

    channels: int
    subscribers: int
    notifications: int


class SharedListener:
    """See the module. It is a listen_line.Owner, and lives in one event loop.

    `connect` gives a backend whose client_encoding is the subscribers'; `name` says in errors
    what it is. `tick` is to be called some times a second.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[Backend]],
        name: str,
        clock: Clock = monotonic,
        patience: float = PATIENCE,
        *,
        closing: bool = False,
    ) -> None:
        self.name = name
        self._connect = connect
        self._clock = clock
        self._patience = patience
        self._subscriptions = Subscriptions()
        self._queue: deque[Wish] = deque()  # while there is no connection
        self._line: Line | None = None
        self._opening: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._delays: Iterator[float] = backoff(most=_MAX_DELAY)
        self._retry_at = self._used = clock()
        self._last_error: DboptError | None = None
        self._closing = closing
        self._notifications = 0

    @property
    def snapshot(self) -> ListenerSnapshot:
        """How it is at this moment."""
        subscriptions = self._subscriptions
        subscribers = subscriptions.subscribers + len({wish.subscriber for wish in self._queue})
        return ListenerSnapshot(len(subscriptions.channels), subscribers, self._notifications)

    # Subscribers

    def subscribe(self, subscriber: Subscriber, channel: bytes, done: Done) -> None:
        """Hear a channel: its name folded and unquoted, in the client's encoding.

        `done(None)` is called when the server listens, so that no later NOTIFY is missed, and what
        was notified before is not heard; before this returns if the subscriber hears it already.
        `done(error)` if that cannot be had: ServerLost,
        ShuttingDown, TooManyChannels, ListenRefused, or what `connect` raises. It is not called
        any more once the subscriber has left or was told `listener_lost`. Twice is once.
        """
        wish = Wish(subscriber, channel, done, self._clock())
        if self._closing:
            _call(done, ShuttingDown("The gateway is shutting down."))
        elif self._line is not None:
            self._place(wish, self._line)
        elif len(self._queue) >= MAX_QUEUED:
            _call(done, TooManyChannels(f"{MAX_QUEUED} subscriptions wait for {self.name}."))
        else:
            self._queue.append(wish)
            self._open_soon()

    def unsubscribe(self, subscriber: Subscriber, channel: bytes | None = None) -> None:
        """Hear a channel no more, or none of them."""
        name = None if channel is None else self._clip(channel)
        self._subscriptions.leave(subscriber, name, self._clock())
        if any(wish.subscriber is subscriber for wish in self._queue):
            self._queue = deque(
                wish
                for wish in self._queue
                if wish.subscriber is not subscriber
                or (name is not None and self._clip(wish.channel) != name)
            )

    def channels(self, subscriber: Subscriber) -> frozenset[bytes]:
        """What it hears, by the names that notifications have; not what it still waits for."""
        return self._subscriptions.heard_by(subscriber)

    def _clip(self, channel: bytes) -> bytes:
        parameters = self._line.backend.parameters if self._line is not None else {}
        settings = self._line.backend.settings if self._line is not None else {}
        client = settings.get("client_encoding", "UTF8")
        return clip(channel, client, parameters.get("server_encoding", "UTF8"))

    def _place(self, wish: Wish, line: Line) -> None:
        """There is a connection: listen on it, unless it does so already."""
        try:
            channel = self._channel(self._clip(wish.channel), line)
        except DboptError as error:
            _call(wish.done, error)
            return
        if self._subscriptions.join(wish, channel):
            _call(wish.done, None)
        else:
            self._ask(channel, line)

    def _ask(self, channel: Channel, line: Line) -> None:
        """Have the server answer once more for who waits, after what it has for others so far."""
        if self._subscriptions.ask(channel, line.turn):
            line.send(CHECK if channel.listening else listen(channel.name), channel)

    def _channel(self, name: bytes, line: Line) -> Channel:
        subscriptions = self._subscriptions
        found = subscriptions.channels.get(name)
        if found is not None:
            return found
        listen(name)  # raises, for a name that cannot be listened to
        if len(subscriptions.channels) >= MAX_CHANNELS and not self._make_room(line):
            raise TooManyChannels(
                f"{self.name} already listens to {MAX_CHANNELS} channels.",
                hint="UNLISTEN what is not needed, or tell more things on one channel.",
            )
        return subscriptions.open(name)

    def _make_room(self, line: Line) -> bool:
        unused = next(self._subscriptions.unused(self._clock()), None)
        if unused is not None:
            self._unlisten(unused, line)
        return unused is not None

    def _unlisten(self, channel: Channel, line: Line) -> None:
        self._subscriptions.drop(channel)
        line.send(unlisten(channel.name))

    # listen_line.Owner

    def notification(self, message: bytes) -> None:
        """See listen_line.Owner: it goes to exactly those who hear its channel."""
        channel = self._subscriptions.channels.get(channel_of(message))
        if channel is None:
            return  # its UNLISTEN is on its way
        for subscriber in tuple(channel.subscribers):
            if subscriber in channel.subscribers:  # else it left when another was notified
                self._notifications += 1
                _call(subscriber.notified, message)

    def answered(self, channel: Channel, refusal: ErrorResponse | None) -> None:
        """See listen_line.Owner."""
        if refusal is not None and not channel.listening:
            refused = ListenRefused(refusal.message, refusal.sqlstate)
            for wish in self._subscriptions.drop(channel):
                _call(wish.done, refused)
            return
        self._delays = backoff(most=_MAX_DELAY)
        for wish in self._subscriptions.listened(channel, self._clock()):
            if wish.subscriber in channel.subscribers:  # else it left when another was told
                _call(wish.done, None)
        if channel.waiting and self._line is not None:
            self._ask(channel, self._line)

    def lost(self, error: DboptError) -> None:
        """See listen_line.Owner: who hears anything is told, and who waits."""
        self._line = None
        self._retry_at = self._clock() + next(self._delays)
        if self._subscriptions.in_use:
            log.warning("a listener was lost", listener=self.name, error=str(error))
        self._tell_all(error)

    def lose(self, reason: str) -> None:
        """Give the connection up, as if it were lost; `reason` is a sentence."""
        if self._line is not None:
            self._line.give_up(reason)

    def _tell_all(self, error: DboptError) -> None:
        heard, wishes = self._subscriptions.clear()
        for subscriber in heard:
            _call(subscriber.listener_lost, error)
        for wish in wishes:
            _call(wish.done, error)

    # The connection

    def _open_soon(self) -> None:
        wanted = self._queue and self._line is None and self._opening is None
        if wanted and not self._closing and self._clock() >= self._retry_at:
            self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        try:
            backend = await self._connect()
        except DboptError as error:
            self._failed(error)
        except Exception:
            log.exception("a listener could not connect", listener=self.name)
            self._failed(ConnectError(f"{self.name} could not connect."))
        else:
            self._begin(backend)
        finally:
            self._opening = None

    def _begin(self, backend: Backend) -> None:
        self._line = line = Line(backend, self, self.name, self._clock)
        self._last_error = None
        self._used = self._clock()
        wishes, self._queue = self._queue, deque()
        for wish in wishes:
            self._place(wish, line)

    def _failed(self, error: DboptError) -> None:
        """No connection. Who waits goes on waiting if the server may be there soon."""
        log.warning("a listener cannot connect", listener=self.name, error=str(error))
        self._last_error = error
        self._retry_at = self._clock() + next(self._delays)
        may_pass = isinstance(error, ConnectError | ServerLost)
        if isinstance(error, ServerRefused):
            may_pass = error.temporary
        if not may_pass:
            self._refuse_queued(error)

    def _refuse_queued(self, error: DboptError) -> None:
        queue, self._queue = self._queue, deque()
        for wish in queue:
            _call(wish.done, error)

    # Time

    def tick(self, now: float) -> None:
        """Once in a while: connect again, end what takes too long, leave what is not used."""
        line = self._line
        if line is None:
            self._refuse_late(now)
            self._open_soon()
            return
        for channel in self._subscriptions.unused(now - GRACE):
            self._unlisten(channel, line)
        if self._subscriptions.in_use:
            self._used = now
        if now - self._used > IDLE_TIMEOUT:
            self._leave(line)
            self._subscriptions.clear()
        else:
            line.check(now)

    def _refuse_late(self, now: float) -> None:
        late = ConnectError(f"{self.name} had no connection within {self._patience:g} s.")
        while self._queue and now - self._queue[0].since > self._patience:
            _call(self._queue.popleft().done, self._last_error or late)

    def _leave(self, line: Line) -> None:
        self._line = None
        self._leaving = asyncio.get_running_loop().create_task(line.leave())

    async def close(self) -> None:
        """Close the connection; who subscribed or waits is told that the gateway shuts down."""
        self._closing = True
        if self._opening is not None:
            self._opening.cancel()
        if self._line is not None:
            self._leave(self._line)
        error = ShuttingDown("The gateway is shutting down.")
        self._tell_all(error)
        self._refuse_queued(error)
        pending = [task for task in (self._opening, self._leaving) if task is not None]
        await asyncio.gather(*pending, return_exceptions=True)


def _call(callback: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
    """One subscriber's failure must not keep the others from being told."""
    try:
        callback(*args, **kwargs)
    except Exception:
        log.exception("a client failed when its listener called it")
