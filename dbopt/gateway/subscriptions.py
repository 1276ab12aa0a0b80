"""Subscriptions: who hears which channel, and who waits until the server listens.

Pure: no connection and no clock. Channels are by the name that the server knows them by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from dbopt.errors import DboptError

Done: TypeAlias = Callable[[DboptError | None], None]
"""Told None when the server listens, else why it does not. Not told who has left meanwhile."""


class Subscriber(Protocol):
    """Who hears channels: a client's relay."""

    def notified(self, message: bytes) -> None:
        """A whole NotificationResponse, as the server sent it."""

    def listener_lost(self, error: DboptError) -> None:
        """Notifications may have been missed, and the subscriptions are over.

        The client is to be told and closed: it has to read anew what they tell of, as it would
        after the loss of a connection of its own.
        """


@dataclass(eq=False, slots=True)
class Wish:
    """A subscription that is asked for; `since` is when, and `channel` as the client has it."""

    subscriber: Subscriber
    channel: bytes
    done: Done
    since: float


class Channel:
    """One channel that the server is asked, or was asked, to listen to.

    `asked` wait for the answer to the query that is in flight for it, and `waiting` came after
    that was sent, in turn `turn` of the line. `pending`: there is one.
    """

    __slots__ = ("asked", "listening", "name", "pending", "subscribers", "turn", "waiting")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.listening = False
        self.subscribers: dict[Subscriber, None] = {}
        self.asked: list[Wish] = []
        self.waiting: list[Wish] = []
        self.pending = False
        self.turn = -1

    @property
    def wanted(self) -> bool:
        """Whether anybody hears it or waits for it."""
        return bool(self.subscribers or self.asked or self.waiting)

    def take_wishes(self) -> list[Wish]:
        """All who wait for it, who then do no more."""
        wishes, self.asked, self.waiting = self.asked + self.waiting, [], []
        return wishes


class Subscriptions:
    """See the module."""

    def __init__(self) -> None:
        self.channels: dict[bytes, Channel] = {}
        self._of: dict[Subscriber, set[bytes]] = {}  # what each hears or waits for
        self._unused: dict[bytes, float] = {}  # since when, the oldest first

    @property
    def in_use(self) -> bool:
        """Whether anyone hears or waits for anything."""
        return bool(self._of)

    @property
    def subscribers(self) -> int:
        """How many hear or wait for something."""
        return len(self._of)

    def open(self, name: bytes) -> Channel:
        """A new channel, for which LISTEN is sent now."""
        channel = self.channels[name] = Channel(name)
        return channel

    def drop(self, channel: Channel) -> list[Wish]:
        """Forget a channel, which nobody hears; gives who has waited for it."""
        if self.channels.get(channel.name) is channel:
            del self.channels[channel.name]
            self._unused.pop(channel.name, None)
        wishes = channel.take_wishes()
        for wish in wishes:
            self._forget(wish.subscriber, channel.name)
        return wishes

    def join(self, wish: Wish, channel: Channel) -> bool:
        """Add who wishes; whether it hears the channel already, or has to wait.

        Who is new to a channel that others hear waits too: what was notified before it asked is
        not for it, and may be on its way still.
        """
        self._unused.pop(channel.name, None)
        self._of.setdefault(wish.subscriber, set()).add(channel.name)
        if wish.subscriber in channel.subscribers:
            return True
        channel.waiting.append(wish)
        return False

    def ask(self, channel: Channel, turn: int) -> bool:
        """Whether a query is to be sent for who waits, in that turn of the line.

        Not while one is in flight: it is asked again when that is answered.
        """
        send = not channel.pending
        if send:
            channel.pending, channel.turn = True, turn
        if channel.turn == turn:  # it is not sent yet
            channel.asked += channel.waiting
            channel.waiting = []
        return send

    def listened(self, channel: Channel, now: float) -> list[Wish]:
        """The server has answered: who has asked hears from now on. Gives who is to be told."""
        channel.listening, channel.pending = True, False
        wishes, channel.asked = channel.asked, []
        channel.subscribers.update((wish.subscriber, None) for wish in wishes)
        if not channel.wanted and self.channels.get(channel.name) is channel:
            self._unused[channel.name] = now
        return wishes

    def leave(self, subscriber: Subscriber, name: bytes | None, now: float) -> None:
        """It hears that channel, or all of them, no more, and does not wait any more."""
        names = self._of.get(subscriber, ())
        for one in [one for one in names if name is None or one == name]:
            channel = self.channels[one]
            channel.subscribers.pop(subscriber, None)
            channel.asked = [w for w in channel.asked if w.subscriber is not subscriber]
            channel.waiting = [w for w in channel.waiting if w.subscriber is not subscriber]
            self._forget(subscriber, one)
            if channel.listening and not channel.wanted:
                self._unused[one] = now

    def _forget(self, subscriber: Subscriber, name: bytes) -> None:
        names = self._of.get(subscriber)
        if names is not None:
            names.discard(name)
            if not names:
                del self._of[subscriber]

    def heard_by(self, subscriber: Subscriber) -> frozenset[bytes]:
        """The channels that it hears; not those that it waits for."""
        names = self._of.get(subscriber, ())
        return frozenset(n for n in names if subscriber in self.channels[n].subscribers)

    def unused(self, before: float) -> Iterator[Channel]:
        """Channels that nobody has heard since `before`, the oldest first. Drop each or stop."""
        while self._unused:
            name, since = next(iter(self._unused.items()))
            if since > before:
                return
            yield self.channels[name]

    def clear(self) -> tuple[list[Subscriber], list[Wish]]:
        """Forget all. Gives who has heard something, and the wishes of those who have not."""
        heard: dict[Subscriber, None] = {}
        for channel in self.channels.values():
            heard.update(channel.subscribers)
        wishes = [wish for channel in self.channels.values() for wish in channel.take_wishes()]
        self.channels.clear()
        self._of.clear()
        self._unused.clear()
        return list(heard), [wish for wish in wishes if wish.subscriber not in heard]
