"""Client: a client connection from its first packet until it is welcomed.

Then a Relay takes the transport over. The worker knows a client by this object throughout, so
it keeps little: what only the login needed is dropped at its end.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from dbopt.clock import monotonic
from dbopt.errors import (
    AuthenticationError,
    DboptError,
    ProtocolError,
    ServerLost,
    ServerRefused,
    ShuttingDown,
)
from dbopt.gateway.arrival import Arrival, Door
from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import Counts
from dbopt.gateway.defaults import Welcome
from dbopt.gateway.ending import READY
from dbopt.gateway.lease import Listener
from dbopt.gateway.leases import waiting_notice
from dbopt.gateway.login import Login
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.relay import Relay
from dbopt.gateway.session import change, tracked
from dbopt.gateway.wishes import APPLICATION_NAME, wishes
from dbopt.wire import encode
from dbopt.wire.backend import ParameterStatus, ReadyForQuery
from dbopt.wire.report import ErrorResponse
from dbopt.wire.types import IDLE

_NOTHING: dict[str, str] = {}
"""Shared by all clients that have been welcomed; never changed."""
_WRONG_SECRET = frozenset(("28P01", "28000"))
"""What a server says that refuses what dbopt logs in with."""


class Gate(Door, Protocol):
    """The worker, as a client sees it."""

    counts: Counts
    draining: bool

    def admit(self, client: Client) -> tuple[int, bytes]:
        """The process id and secret of a client that logs in; TooManyClients beyond the limit."""

    def adds_host(self, database: str, user: str) -> bool:
        """Whether the client's host is to be part of its application_name."""

    def pool(self, database: str, user: str) -> Pool:
        """The pool of that database and user."""

    def listener(self, database: str, user: str, encoding: str) -> Listener:
        """The one that listens for all clients of a database."""

    def gone(self, client: Client) -> None:
        """The client has left."""


class Client(Arrival):
    """See the module. It is a leases.Waiter and a backend.Holder while it logs in."""

    __slots__ = (
        "_pool", "_refused", "_relay", "_reported", "_wanted", "gate", "pid", "secret",
    )  # fmt: skip

    logging_in = True

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate)
        self.gate = gate
        self.pid = 0
        self.secret = b""
        self._wanted = _NOTHING
        self._pool: Pool | None = None
        self._relay: Relay | None = None
        self._reported = _NOTHING
        self._refused: ErrorResponse | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        self.leave()
        self.left()

    def left(self) -> None:
        """The connection is over, in whichever stage: the worker may forget the client."""
        self.gate.gone(self)

    def leave_pool(self) -> None:
        """The worker has forgotten the client: its pool has one less."""
        if self._pool is not None:
            self._pool.clients -= 1

    def leave(self) -> None:
        """See Connection."""
        super().leave()
        if self.waiting and self._pool is not None:
            self.waiting = False
            self._pool.forsake(self)
        self._give_up()

    def enter(self, login: Login) -> None:
        """See Arrival: find its pool, and what to welcome it with."""
        gate = self.gate
        if gate.draining:
            raise ShuttingDown("The gateway is shutting down and takes no new clients.")
        host = self.place if gate.adds_host(self.database, self.user) else ""
        # Without one it has none, whatever the backend has logged in as.
        self._wanted = {APPLICATION_NAME: "", **wishes(login.parameters, host)}
        self.pid, self.secret = gate.admit(self)
        gate.auth.prove(self.database, self.user, login.proven)
        self._pool = pool = gate.pool(self.database, self.user)
        pool.clients += 1
        known = pool.welcome(self._wanted)
        if known is not None:
            self._welcome(known)
            return
        self.transport.write(self.take_answer())
        self.waiting = True
        backend = pool.acquire(self)
        if backend is not None:
            self.granted(backend, 0.0)

    # Welcome: a first client with these settings, so the server says what it makes of them.

    def granted(self, backend: Backend, waited: float) -> None:
        """See leases.Waiter."""
        assert self._pool is not None  # noqa: S101 - it was asked for the backend
        self.waiting = False
        self.backend = backend
        backend.holder = self
        message = change(backend.settings, {**self._pool.default_settings(), **self._wanted})
        if message:
            backend.prepared.unnamed = None  # any simple Query ends it
            backend.transport.write(message)
        else:
            self._ask_done(backend)

    def refused(self, error: DboptError) -> None:
        """See leases.Waiter."""
        self.waiting = False
        reported = error.reported if isinstance(error, ServerRefused) else ""
        if isinstance(error, AuthenticationError) or reported in _WRONG_SECRET:
            self.gate.auth.forget(self.database, self.user)
        self.refuse(error)

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        backend = self.backend
        if backend is None:
            return
        try:
            for message in backend.downstream.idle(data):
                if isinstance(message, ParameterStatus):
                    self._reported = {**self._reported, message.name: message.value}
                elif isinstance(message, ErrorResponse):
                    self._refused = message
                elif isinstance(message, ReadyForQuery):
                    self._ask_done(backend)
        except ProtocolError as error:
            self.refuse(error)

    def server_lost(self) -> None:
        """See backend.Holder."""
        self.refuse(ServerLost("The server closed the connection during the login."))

    def _ask_done(self, backend: Backend) -> None:
        pool = self._pool
        if pool is None or self.closed:
            return
        if self._refused is not None:
            refused = self._refused
            self.refuse(ServerRefused(refused.message, refused.sqlstate))
            return
        reported = {**backend.parameters, **backend.settings, **self._reported}
        parameters = {name: reported[name] for name in backend.parameters}
        settings = pool.canonical({**self._wanted, **tracked(parameters)})
        backend.settings = settings
        backend.status = IDLE
        welcome = pool.remember_welcome(self._wanted, settings, parameters)
        self.backend = backend.holder = None
        pool.release(backend, monotonic())
        self._welcome(welcome)

    def _welcome(self, welcome: Welcome) -> None:
        pool = self._pool
        assert pool is not None  # noqa: S101 - it was entered
        self.stop_timer()
        key = encode.backend_key_data(self.pid, self.secret)
        # One segment: each more wakes the client up once more.
        self.transport.write(b"".join((self.take_answer(), welcome.message, key, READY)))
        name = self._wanted[APPLICATION_NAME]
        scope = self.gate.counts.scope(self.database, self.user, name)
        self._relay = relay = Relay(self, pool, scope, welcome.settings)
        relay.take_over(self.transport, self._write_paused)
        self.transport.set_protocol(relay)
        early, self._early = self._early, b""
        self._wanted = self._reported = _NOTHING
        if not self.transport.is_reading():
            self.transport.resume_reading()
        if early:
            relay.data_received(early)

    def _give_up(self) -> None:
        """The backend was asked something whose answer nobody waits for: it is not shared."""
        backend, self.backend = self.backend, None
        if backend is not None and self._pool is not None:
            backend.holder = None
            self._pool.discard(backend)

    def queued(self, seconds: float, ahead: int) -> None:
        """See leases.Waiter: it has proved who it is, so that it may be told."""
        self.transport.write(encode.notice(waiting_notice(seconds, ahead)))

    # What the worker asks

    def idle_tick(self, now: float, timeout: float) -> None:
        """See Connection."""
        if self._relay is not None:
            self._relay.idle_tick(now, timeout)

    def cancel(self) -> asyncio.Task[None] | None:
        """A CancelRequest for this client."""
        return self._relay.cancel() if self._relay is not None else None

    def drain(self) -> None:
        """The gateway shuts down: an idle client is told and closed."""
        if self._relay is not None:
            self._relay.drain()
        else:
            self.cut()

    def cut(self) -> None:
        """The time to shut down is over."""
        if self._handshake is not None:
            self.close()
            return
        stage = self._relay or self
        stage.fatal(ShuttingDown("The gateway is shutting down."))
