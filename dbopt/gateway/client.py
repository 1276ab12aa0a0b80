"""Client: a client connection from its first packet until it is welcomed.

Then a Relay takes the transport over. The worker knows a client by this object throughout.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from dbopt.errors import DboptError, ProtocolError, ServerLost, ServerRefused, ShuttingDown
from dbopt.gateway.backend import Backend
from dbopt.gateway.connection import Connection
from dbopt.gateway.counts import Counts
from dbopt.gateway.login import Login, Verifiers
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.relay import Relay
from dbopt.gateway.session import change, requested, tracked
from dbopt.wire import encode
from dbopt.wire.backend import ParameterStatus, ReadyForQuery
from dbopt.wire.messages import CancelRequest
from dbopt.wire.report import ErrorResponse
from dbopt.wire.types import IDLE

_MAX_EARLY = 1 << 20
"""Bytes that a client may send before it is welcomed."""


class Gate(Protocol):
    """The worker, as a client sees it."""

    counts: Counts
    verifiers: Verifiers
    draining: bool
    login_timeout: float

    def admit(self, client: Client) -> tuple[int, bytes]:
        """The process id and secret of a client that logs in; TooManyClients beyond the limit."""

    def pool(self, database: str, user: str) -> Pool:
        """The pool of that database and user."""

    def cancel(self, request: CancelRequest) -> asyncio.Task[None] | None:
        """A CancelRequest came; gives what is done when the server has acted on it."""

    def gone(self, client: Client) -> None:
        """The client has left."""

    def failed_login(self) -> None:
        """A login was refused."""

    def bad_protocol(self) -> None:
        """A client did not speak the protocol."""


class Client(Connection):
    """See the module. It is a multiplexer.Waiter and a backend.Holder while it logs in."""

    logging_in = True

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self.gate = gate
        self.pid = 0
        self.secret = b""
        self._login = Login(gate.verifiers)
        self._login_timer: asyncio.TimerHandle | None = None
        self._wanted: dict[str, str] = {}
        self._pool: Pool | None = None
        self._relay: Relay | None = None
        self._early = b""
        self._reported: dict[str, str] = {}
        self._refused: ErrorResponse | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._login_timer = loop.call_later(self.gate.login_timeout, self._too_slow)

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
        if self._login_timer is not None:
            self._login_timer.cancel()
        if self.waiting and self._pool is not None:
            self.waiting = False
            self._pool.forsake(self)
        self._give_up()

    # Login

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            if self.pid:
                self._keep(data)
            else:
                self._logging_in(data)
        except ProtocolError as error:
            self.gate.bad_protocol()
            self._refuse(error)
        except DboptError as error:
            self._refuse(error)

    def _keep(self, data: bytes) -> None:
        """It did not wait for the welcome: what it sends is kept until then."""
        self._early += data
        if len(self._early) > _MAX_EARLY:
            self.transport.pause_reading()

    def _logging_in(self, data: bytes) -> None:
        login = self._login
        answer = login.receive(data)
        if login.cancel is not None:
            self.transport.pause_reading()  # what follows would be taken for another
            self._close_after(self.gate.cancel(login.cancel))
        elif login.done:
            self._early = data[len(data) - login.rest :] if login.rest else b""
            self._enter(answer)
        elif answer:
            self.transport.write(answer)

    def _close_after(self, task: asyncio.Task[None] | None) -> None:
        """As PostgreSQL does: who sees the close knows that no later statement is hit."""
        if task is None:
            self.close()
        else:
            task.add_done_callback(lambda _: self.close())

    def _enter(self, answer: bytes) -> None:
        """The client is who it says: find its pool, and what to welcome it with."""
        login = self._login
        if self.gate.draining:
            raise ShuttingDown("The gateway is shutting down and takes no new clients.")
        self._wanted = requested(login.parameters)
        self.pid, self.secret = self.gate.admit(self)
        self._pool = pool = self.gate.pool(login.database, login.user)
        pool.clients += 1
        self.transport.write(answer)
        known = pool.welcomes.get(frozenset(self._wanted.items()))
        if known is not None:
            self._welcome(*known)
            return
        self.waiting = True
        backend = pool.acquire(self)
        if backend is not None:
            self.granted(backend, 0.0)

    # Welcome: a first client with these settings, so the server says what it makes of them.

    def granted(self, backend: Backend, waited: float) -> None:
        """See multiplexer.Waiter."""
        assert self._pool is not None  # noqa: S101 - it was asked for the backend
        self.waiting = False
        self.backend = backend
        backend.holder = self
        message = change(backend.settings, {**self._pool.default_settings(), **self._wanted})
        if message:
            backend.transport.write(message)
        else:
            self._ask_done(backend)

    def refused(self, error: DboptError) -> None:
        """See multiplexer.Waiter."""
        self.waiting = False
        self._refuse(error)

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        backend = self.backend
        if backend is None:
            return
        try:
            for message in backend.downstream.idle(data):
                if isinstance(message, ParameterStatus):
                    self._reported[message.name] = message.value
                elif isinstance(message, ErrorResponse):
                    self._refused = message
                elif isinstance(message, ReadyForQuery):
                    self._ask_done(backend)
        except ProtocolError as error:
            self._refuse(error)

    def server_lost(self) -> None:
        """See backend.Holder."""
        self._refuse(ServerLost("The server closed the connection during the login."))

    def _ask_done(self, backend: Backend) -> None:
        pool = self._pool
        if pool is None or self.closed:
            return
        if self._refused is not None:
            refused = self._refused
            self._refuse(ServerRefused(refused.message, refused.sqlstate))
            return
        reported = {**backend.parameters, **backend.settings, **self._reported}
        parameters = {name: reported[name] for name in backend.parameters}
        settings = pool.canonical({**self._wanted, **tracked(parameters)})
        backend.settings = settings
        backend.status = IDLE
        pool.remember_welcome(self._wanted, settings, parameters)
        self.backend = backend.holder = None
        pool.release(backend)
        self._welcome(settings, parameters)

    def _welcome(self, settings: dict[str, str], parameters: dict[str, str]) -> None:
        assert self._pool is not None  # noqa: S101 - it was entered
        if self._login_timer is not None:
            self._login_timer.cancel()
        self.transport.write(
            b"".join(encode.parameter_status(name, value) for name, value in parameters.items())
            + encode.backend_key_data(self.pid, self.secret)
            + encode.ready_for_query(b"I")
        )
        name = settings.get("application_name", "")
        scope = self.gate.counts.scope(self._login.database, self._login.user, name)
        self._relay = relay = Relay(self, self._pool, scope, settings)
        relay.take_over(self.transport, self._write_paused)
        self.transport.set_protocol(relay)
        early, self._early = self._early, b""
        self.transport.resume_reading()
        if early:
            relay.data_received(early)

    # What goes wrong

    def _too_slow(self) -> None:
        self._refuse(
            ServerRefused(f"The login took longer than {self.gate.login_timeout:g} s.", "08006")
        )

    def _refuse(self, error: DboptError) -> None:
        if not self.closed:
            self.gate.failed_login()
            sqlstate = error.reported if isinstance(error, ServerRefused) else error.sqlstate
            self.fatal_bytes(encode.error_fields("FATAL", sqlstate, error.message, hint=error.hint))

    def _give_up(self) -> None:
        """The backend was asked something whose answer nobody waits for: it is not shared."""
        backend, self.backend = self.backend, None
        if backend is not None and self._pool is not None:
            backend.holder = None
            self._pool.discard(backend)

    # What the worker asks

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
        stage = self._relay or self
        stage.fatal(ShuttingDown("The gateway is shutting down."))
