"""Relays on a stage: real Relay, Backend and state machines; transports and pool in memory."""

from __future__ import annotations

import random
from typing import Any, cast

from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import Counts
from dbopt.gateway.relay import Relay
from dbopt.gateway.routes import route
from dbopt.gateway.statements import Registry
from dbopt.gateway.target import Target
from dbopt.settings import Settings
from tests.unit.gateway.model_server import ModelServer

TARGET = Target("nowhere", 5432, "shop", "ann")


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.closed = False
        self.reading = True

    def write(self, data: bytes) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


class ServerWire(Wire):
    """A transport to a model server, whose replies wait until they are delivered."""

    def __init__(self, server: ModelServer) -> None:
        super().__init__()
        self.server = server

    def write(self, data: bytes) -> None:
        super().write(data)
        self.server.receive(data)


class Gate:
    """The worker."""

    def __init__(self) -> None:
        self.counts = Counts(1e9, False, 1000, 10)
        self.draining = self.closing = False
        self.bad = 0

    def bad_protocol(self) -> None:
        self.bad += 1


class Owner:
    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.gone = False

    def left(self) -> None:
        self.gone = True


class Stage:
    """Clients that share backends. It is the pool that their relays see."""

    def __init__(self, backends: int = 1, statements: int = 100) -> None:
        self.registry = Registry(1000)
        self.received = self.sent = self.transactions = self.statements = 0
        self.route = route(Settings(), "shop", "ann")
        self.database, self.user = "shop", "ann"
        self.pins = 0
        self.draining = self.closing = False
        self.timeouts: dict[str, int] = {}
        self.gate = Gate()
        self.backends = [self._backend(statements) for _ in range(backends)]
        self.free = self.idle = list(self.backends)
        self.waiting: list[Relay] = []
        self.discarded: list[Backend] = []
        self.cancelled: list[Backend] = []
        self.now = 0.0

    def _backend(self, statements: int) -> Backend:
        backend = Backend(TARGET, cast(Any, self), statements)
        backend.transport = cast(Any, ServerWire(ModelServer("gateway")))
        backend.settings = {"TimeZone": "gateway"}
        backend.parameters = {"TimeZone": "gateway"}
        return backend

    def client(self, zone: str = "gateway") -> Relay:
        scope = self.gate.counts.scope("shop", "ann", zone)
        owner = cast(Any, Owner(self.gate))
        settings = {"TimeZone": zone}
        relay = Relay(owner, cast(Any, self), scope, settings, lambda: self.now)
        relay.take_over(cast(Any, Wire()), False)
        return relay

    # multiplexer.Pool

    def take(self) -> Backend | None:
        return self.free.pop() if self.free else None

    def acquire(self, relay: Relay) -> Backend | None:
        if self.free:
            return self.free.pop()
        self.waiting.append(relay)
        return None

    def release(self, backend: Backend, now: float) -> None:
        assert not wire_of(backend).server.out, "a reply is left for the next client"
        if self.waiting:
            self.waiting.pop(0).granted(backend, 0.5)
        else:
            self.free.append(backend)

    def discard(self, backend: Backend, *, cancel_first: bool = False) -> None:
        self.discarded.append(backend)

    def cancel(self, backend: Backend) -> None:
        self.cancelled.append(backend)

    def forsake(self, relay: Relay) -> None:
        self.waiting.remove(relay)

    def canonical(self, settings: dict[str, str]) -> dict[str, str]:
        return settings

    # The server's replies

    def deliver(self, backend: Backend, size: int = 1 << 30) -> None:
        """Give the gateway up to `size` bytes that the backend's server has sent."""
        out = wire_of(backend).server.out
        data = bytes(out[:size])
        del out[:size]
        if data:
            backend.data_received(data)

    def settle(self) -> None:
        """Deliver all."""
        while any(wire_of(backend).server.out for backend in self.backends):
            for backend in self.backends:
                self.deliver(backend)


def wire_of(backend: Backend) -> ServerWire:
    return cast(ServerWire, backend.transport)


def told(relay: Relay) -> bytes:
    """All that the client was sent."""
    return bytes(cast(Wire, relay.transport).written)


def directly(data: bytes, zone: str = "gateway") -> bytes:
    """What a server of its own answers a client."""
    server = ModelServer(zone)
    server.receive(data)
    return bytes(server.out)


def play(
    stage: Stage, scripts: dict[Relay, list[bytes]], chance: random.Random, most: int, patient: bool
) -> None:
    """Send all parts in random pieces of at most `most` bytes, and replies in between likewise.

    A patient client reads all replies to one part before it sends the next.
    """
    left = {relay: list(parts) for relay, parts in scripts.items() if parts}
    fresh = dict.fromkeys(left, True)
    while left:
        relay = chance.choice(list(left))
        if patient and fresh[relay]:
            stage.settle()
            if relay.waiting:
                continue
        fresh[relay] = False
        part = left[relay][0]
        size = chance.randint(1, most)
        if part:
            relay.data_received(part[:size])
        if size < len(part):
            left[relay][0] = part[size:]
        else:
            del left[relay][0]
            fresh[relay] = True
        if not left[relay]:
            del left[relay]
        for backend in stage.backends:
            stage.deliver(backend, chance.choice((0, 1, chance.randint(1, most), 1 << 30)))
    stage.settle()
