"""Subscriptions: whatever is done in whichever order, they agree with a simple model."""

from __future__ import annotations

import random
from collections import defaultdict

import pytest

from dbopt.gateway.subscriptions import Channel, Subscriptions, Wish
from tests.unit.gateway.listen_stage import Client

NAMES = [b"a", b"b", b"c", b"d"]


class Model:
    """Pairs of who hears, who has asked, and who waits to; the server's answers come in order."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311 - no secret
        self.real = Subscriptions()
        self.clients = [Client() for _ in range(5)]
        self.hears: dict[bytes, set[Client]] = defaultdict(set)
        self.waits: dict[bytes, set[Client]] = defaultdict(set)
        self.covered: dict[bytes, set[Client]] = defaultdict(set)
        self.asked: list[Channel] = []
        self.turns: dict[Channel, int] = {}
        self.turn = 0
        self.now = 0.0

    def subscribe(self) -> None:
        client, name = self.chance.choice(self.clients), self.chance.choice(NAMES)
        channel = self.real.channels.get(name)
        if channel is None:
            channel = self.real.open(name)
        if self.real.join(Wish(client, name, client.done, self.now), channel):
            assert client in self.hears[name]
        else:
            self.waits[name].add(client)
            self.ask(channel)

    def ask(self, channel: Channel) -> None:
        new = channel not in self.turns
        assert new == self.real.ask(channel, self.turn)
        if new:
            self.turns[channel] = self.turn
            self.asked.append(channel)
        if self.turns[channel] == self.turn:
            self.covered[channel.name] |= self.waits.pop(channel.name, set())

    def flush(self) -> None:
        self.turn += 1

    def leave(self) -> None:
        client = self.chance.choice(self.clients)
        name = self.chance.choice([*NAMES, None])
        self.real.leave(client, name, self.now)
        for one in NAMES if name is None else [name]:
            self.hears[one].discard(client)
            self.waits[one].discard(client)
            self.covered[one].discard(client)

    def answer(self) -> None:
        if self.asked:
            channel = self.asked.pop(0)
            del self.turns[channel]
            if self.real.channels.get(channel.name) is not channel:
                assert [] == self.real.listened(channel, self.now), "nobody wanted it any more"
                return
            waited = self.covered.pop(channel.name, set())
            if channel.listening or self.chance.random() < 0.8:
                told = self.real.listened(channel, self.now)
                self.hears[channel.name] |= waited
                if channel.waiting:
                    self.ask(channel)
            else:
                told = self.real.drop(channel)
                waited |= self.waits.pop(channel.name, set())
            assert waited == {wish.subscriber for wish in told}

    def sweep(self) -> None:
        for channel in self.real.unused(self.now - 3):
            for of in (self.hears, self.covered, self.waits):
                assert not of[channel.name]
            self.real.drop(channel)

    def check(self) -> None:
        for client in self.clients:
            heard = frozenset(name for name in NAMES if client in self.hears[name])
            assert heard == self.real.heard_by(client)
        every = (self.hears, self.covered, self.waits)
        busy = {c for of in every for clients in of.values() for c in clients}
        assert (len(busy), bool(busy)) == (self.real.subscribers, self.real.in_use)
        for name, channel in self.real.channels.items():
            assert self.hears[name] == set(channel.subscribers)


@pytest.mark.parametrize("seed", range(30))
def test_agrees_with_a_model(seed: int) -> None:
    model = Model(seed)
    steps = [
        model.subscribe, model.subscribe, model.leave, model.answer, model.answer, model.sweep,
        model.flush,
    ]  # fmt: skip
    for _ in range(300):
        model.now += 1.0
        model.chance.choice(steps)()
        model.check()
    heard, wishes = model.real.clear()
    assert {c for clients in model.hears.values() for c in clients} == set(heard)
    waiting = {c for of in (model.waits, model.covered) for who in of.values() for c in who}
    assert waiting - set(heard) == {wish.subscriber for wish in wishes}
    assert {} == model.real.channels
    assert not model.real.in_use


def test_unused_channels_come_in_the_order_in_which_they_were_left() -> None:
    subscriptions, client = Subscriptions(), Client()
    for now, name in enumerate(NAMES):
        channel = subscriptions.open(name)
        subscriptions.join(Wish(client, name, client.done, 0.0), channel)
        assert subscriptions.ask(channel, 0)
        subscriptions.listened(channel, 0.0)
        if name != b"b":
            subscriptions.leave(client, name, float(now))
    found = []
    for channel in subscriptions.unused(2.0):
        found.append(channel.name)
        subscriptions.drop(channel)
    assert [b"a", b"c"] == found
    assert [b"b", b"d"] == list(subscriptions.channels)
