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
    """One channel that the server is asked, or was asked, to listen to."""

    __slots__ = ("listening", "name", "subscribers", "waiting")

    def __init__(self, name: bytes) -> None:
        self.name = name
        self.listening = False
        self.subscribers: dict[Subscriber, None] = {}
        self.waiting: list[Wish] = []


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
        wishes, channel.waiting = channel.waiting, []
        for wish in wishes:
            self._forget(wish.subscriber, channel.name)
        return wishes

    def join(self, wish: Wish, channel: Channel) -> bool:
        """Add who wishes; whether it hears the channel already, or has to wait."""
        self._unused.pop(channel.name, None)
        self._of.setdefault(wish.subscriber, set()).add(channel.name)
        if channel.listening:
            channel.subscribers[wish.subscriber] = None
        else:
            channel.waiting.append(wish)
        return channel.listening

    def listened(self, channel: Channel, now: float) -> list[Wish]:
        """The server listens: who has waited hears from now on. Gives who is to be told."""
        channel.listening = True
        wishes, channel.waiting = channel.waiting, []
        channel.subscribers.update((wish.subscriber, None) for wish in wishes)
        if not wishes:
            self._unused[channel.name] = now
        return wishes

    def leave(self, subscriber: Subscriber, name: bytes | None, now: float) -> None:
        """It hears that channel, or all of them, no more, and does not wait any more."""
        names = self._of.get(subscriber, ())
        for one in [one for one in names if name is None or one == name]:
            channel = self.channels[one]
            channel.subscribers.pop(subscriber, None)
            channel.waiting = [w for w in channel.waiting if w.subscriber is not subscriber]
            self._forget(subscriber, one)
            if channel.listening and not channel.subscribers:
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
        wishes = [wish for channel in self.channels.values() for wish in channel.waiting]
        self.channels.clear()
        self._of.clear()
        self._unused.clear()
        return list(heard), [wish for wish in wishes if wish.subscriber not in heard]
