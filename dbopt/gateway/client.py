"""Client: one client connection, from its first packet to its last.

In transaction mode it holds a backend from the first message of a transaction to the
ReadyForQuery that ends it. What comes while it waits for one is kept, and sent when it has it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError, ProtocolError, QueryCancelled, ServerLost, ShuttingDown
from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import Counts
from dbopt.gateway.ledger import SETTINGS, Ledger, Request
from dbopt.gateway.login import Login, Verifiers
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.session import change, requested, tracked
from dbopt.gateway.upstream import Upstream, needed
from dbopt.wire import encode
from dbopt.wire.messages import CancelRequest
from dbopt.wire.types import (
    F_COPY_DATA,
    F_COPY_DONE,
    F_COPY_FAIL,
    F_FUNCTION_CALL,
    F_QUERY,
    F_SYNC,
    F_TERMINATE,
    IDLE,
)

_COPY = frozenset((F_COPY_DATA, F_COPY_DONE, F_COPY_FAIL))
_READY = encode.ready_for_query(b"I")
_MAX_REST_UNREAD = 1 << 20
"""Bytes a client may have waiting before its socket is no longer read."""


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

    def cancel(self, request: CancelRequest) -> None:
        """A CancelRequest came."""

    def gone(self, client: Client) -> None:
        """The client has left."""

    def failed_login(self) -> None:
        """A login was refused."""

    def bad_protocol(self) -> None:
        """A client did not speak the protocol."""


class Client(asyncio.Protocol):
    """See the module. States: logging in (`_login`), then serving (`_upstream`), then closed."""

    def __init__(self, gate: Gate, clock: Clock = monotonic) -> None:
        self.gate = gate
        self._clock = clock
        self.pid = 0
        self.secret = b""
        self.closed = False
        self.settings: dict[str, str] = {}
        self.backend: Backend | None = None
        self.waiting = False
        self.transport: asyncio.Transport
        self._login: Login | None = Login(gate.verifiers)
        self._login_timer: asyncio.TimerHandle | None = None
        self._wanted: dict[str, str] = {}
        self._pool: Pool
        self._upstream: Upstream
        self._ledger: Ledger
        self._rest = bytearray()
        self._need = 0
        self._fresh = False
        self._write_paused = False

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        self.transport = transport  # type: ignore[assignment] # uvloop's is no asyncio.Transport
        loop = asyncio.get_running_loop()
        self._login_timer = loop.call_later(self.gate.login_timeout, self._login_too_slow)

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        try:
            if self._login is not None:
                self._logging_in(self._login, data)
            else:
                self._received(data)
        except DboptError as error:
            self._bad_input(error)

    def eof_received(self) -> bool | None:
        """See asyncio: the client sends no more, so it is served no more."""
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        if self._login_timer is not None:
            self._login_timer.cancel()
        self._leave_backend()
        self.gate.gone(self)

    def pause_writing(self) -> None:
        """See asyncio: the client reads slower than the server sends."""
        self._write_paused = True
        if self.backend is not None and not self.backend.closed:
            self.backend.transport.pause_reading()

    def resume_writing(self) -> None:
        """See asyncio."""
        self._write_paused = False
        if self.backend is not None and not self.backend.closed:
            self.backend.transport.resume_reading()

    def pause_reading(self) -> None:
        """See backend.Holder."""
        if not self.closed:
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """See backend.Holder."""
        if not self.closed:
            self.transport.resume_reading()

    # Login

    @property
    def logging_in(self) -> bool:
        """See multiplexer.Waiter."""
        return self._login is not None

    def _logging_in(self, login: Login, data: bytes) -> None:
        if self.pid:
            # It does not wait for the server's welcome: what it sends is kept for later.
            self._keep(data)
            return
        try:
            answer = login.receive(data)
        except DboptError:
            self.gate.failed_login()
            raise
        if login.cancel is not None:
            self.gate.cancel(login.cancel)
            self.close()
        elif login.done:
            self._keep(data[len(data) - login.rest :] if login.rest else b"")
            self._enter(login, answer)
        elif answer:
            self.transport.write(answer)

    def _enter(self, login: Login, answer: bytes) -> None:
        """The client is who it says: find its pool, and what to welcome it with."""
        if self.gate.draining:
            raise ShuttingDown("The gateway is shutting down and takes no new clients.")
        self.pid, self.secret = self.gate.admit(self)
        self._wanted = requested(login.parameters)
        self._pool = self.gate.pool(login.database, login.user)
        self._pool.clients += 1
        self.transport.write(answer)
        known = self._pool.welcomes.get(frozenset(self._wanted.items()))
        if known is not None:
            self._welcome(*known)
            return
        backend = self._pool.acquire(self)
        if backend is not None:
            self.granted(backend, 0.0)
        else:
            self.waiting = True

    def _ask_welcome(self, backend: Backend) -> None:
        """A first client with these settings: the server says what it makes of them."""
        self._start_serving()
        wanted = {**self._pool.default_settings(), **self._wanted}
        self.settings = self._pool.canonical(wanted)
        backend.downstream.settings.clear()
        message = change(backend.settings, wanted)
        if message:
            self._hide(backend, message)
            backend.transport.write(message)
        else:
            self._got_welcome(backend)

    def _got_welcome(self, backend: Backend) -> None:
        refused = backend.downstream.refused
        if refused is not None:
            backend.downstream.refused = None
            self._give_up(backend)
            self._fatal(encode.error_fields("FATAL", refused.sqlstate, refused.message))
            return
        reported = {**backend.parameters, **backend.settings, **dict(backend.downstream.settings)}
        backend.downstream.settings.clear()
        parameters = {name: reported[name] for name in backend.parameters}
        settings = self._pool.canonical({**self._wanted, **tracked(parameters)})
        backend.settings = settings
        self._pool.remember_welcome(self._wanted, settings, parameters)
        self._let_go(backend)
        self._welcome(settings, parameters)

    def _welcome(self, settings: dict[str, str], parameters: dict[str, str]) -> None:
        self.settings = settings
        if self._login_timer is not None:
            self._login_timer.cancel()
        self._start_serving()
        self._login = None
        self.transport.write(
            b"".join(encode.parameter_status(name, value) for name, value in parameters.items())
            + encode.backend_key_data(self.pid, self.secret)
            + _READY
        )
        self._received(b"")

    def _start_serving(self) -> None:
        login = self._login
        if login is None or hasattr(self, "_ledger"):
            return
        name = self._wanted.get("application_name", "")
        self._ledger = Ledger(self.gate.counts.scope(login.database, login.user, name))
        self._upstream = Upstream(self._ledger, self._pool.registry)

    def _login_too_slow(self) -> None:
        self.gate.failed_login()
        self._fatal(
            encode.error_fields(
                "FATAL", "08006", f"The login took longer than {self.gate.login_timeout:g} s."
            )
        )

    # Client → server

    def _received(self, data: bytes) -> None:
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need or self.waiting:
                self._hold()
                return
            data = bytes(self._rest)
            self._rest.clear()
        backend = self.backend
        if backend is not None:
            self._forward(backend, data, 0.0)
        elif data:
            self._begin(data)

    def _begin(self, data: bytes) -> None:
        """Data came while no backend is held: get one, once a whole message is there."""
        while data:
            self._need = needed(data)
            if len(data) < self._need:
                self._rest += data
                return
            if data[0] not in _COPY:
                break
            # The rest of a COPY that has failed: nobody reads it.
            data = data[self._need :]
        if not data:
            return
        if data[0] == F_TERMINATE:
            self.close()
            return
        if self.gate.draining:
            raise ShuttingDown("The gateway is shutting down.")
        backend = self._pool.acquire(self)
        if backend is None:
            self._rest += data
            self.waiting = True
            return
        self._take(backend)
        self._forward(backend, data, 0.0)

    def _keep(self, data: bytes) -> None:
        self._rest += data
        self._hold()

    def _hold(self) -> None:
        if self.waiting and len(self._rest) > _MAX_REST_UNREAD:
            self.transport.pause_reading()

    def granted(self, backend: Backend, waited: float) -> None:
        """See multiplexer.Waiter."""
        self.waiting = False
        self._take(backend)
        if self._login is not None:
            self._ask_welcome(backend)
            return
        self.transport.resume_reading()
        data = bytes(self._rest)
        self._rest.clear()
        try:
            self._forward(backend, data, waited * 1e6)
        except DboptError as error:
            self._bad_input(error)

    def _take(self, backend: Backend) -> None:
        self.backend = backend
        self._fresh = True
        backend.holder = self
        if self._write_paused:
            backend.transport.pause_reading()

    def _forward(self, backend: Backend, data: bytes, queue_us: float) -> None:
        ledger, upstream = self._ledger, self._upstream
        out: list[bytes] = []
        if self._fresh:
            self._begin_lease(backend, out)
        taken = upstream.forward(data, backend.prepared, self._clock(), out, queue_us)
        if taken < len(data):
            self._rest += data[taken:] if taken else data
            self._need = needed(self._rest)
        if len(out) == 1:
            backend.transport.write(out[0])
        elif out:
            backend.transport.write(b"".join(out))
        self._pool.received += len(data)
        if upstream.closing:
            self.close(said_goodbye=True)
        elif ledger.at_rest and not upstream.pass_bytes:
            self._let_go(backend)  # a Flush alone: there will be no answer

    def _begin_lease(self, backend: Backend, out: list[bytes]) -> None:
        self._fresh = False
        self._ledger.backend_pid = backend.pid
        if backend.settings is not self.settings:
            message = change(backend.settings, self.settings)
            if message:
                self._hide(backend, message)
                out.append(message)
            backend.settings = self.settings
        out.extend(self._upstream.begin(backend.prepared))

    def _hide(self, backend: Backend, message: bytes) -> None:
        """What is sent next is the gateway's own: its replies are not for the client."""
        self._ledger.requests.append(Request(SETTINGS))
        self._ledger.ends += 1
        backend.downstream.hiding = True

    # Server → client

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        backend = self.backend
        if backend is None:
            return
        out: list[bytes] = []
        downstream = backend.downstream
        try:
            downstream.receive(data, self._upstream, backend.prepared, self._clock(), out)
        except ProtocolError as error:
            self._give_up(backend)
            self._fatal(encode.error_response(error, "FATAL"))
            return
        if self._login is not None:
            if not downstream.hiding:
                self._got_welcome(backend)
            return
        if len(out) == 1:
            self.transport.write(out[0])
        elif out:
            self.transport.write(b"".join(out))
        self._pool.sent += len(data)
        if downstream.settings:
            self._settings_changed(backend)
        if downstream.refused is not None:
            self._settings_refused(backend)
        elif self._ledger.at_rest and self._upstream.pass_bytes == 0 and not downstream.fatal:
            self._let_go(backend)
            if self._rest:
                self._received(b"")

    def _let_go(self, backend: Backend) -> None:
        """The transaction is over: others may have the backend."""
        pool, ledger = self._pool, self._ledger
        pool.transactions += ledger.transactions
        pool.statements += ledger.answered
        ledger.transactions = ledger.answered = 0
        self.backend = None
        backend.holder = None
        backend.status = IDLE
        if self._write_paused:
            backend.transport.resume_reading()
        pool.release(backend, self._clock())

    def _settings_changed(self, backend: Backend) -> None:
        """The server reported settings: the client's own SET, or what the gateway applied."""
        changed = dict(backend.downstream.settings)
        backend.downstream.settings.clear()
        mine = tracked(changed)
        if any(self.settings.get(name) != value for name, value in mine.items()):
            self.settings = self._pool.canonical({**self.settings, **mine})
            backend.settings = self.settings
        name = mine.get("application_name")
        if name is not None:
            scope = self._ledger.scope
            self._ledger.scope = self.gate.counts.scope(scope.database, scope.user, name)

    def _settings_refused(self, backend: Backend) -> None:
        refused = backend.downstream.refused
        assert refused is not None  # noqa: S101 - the caller looked
        self._give_up(backend)
        self._fatal(encode.error_fields("FATAL", refused.sqlstate, refused.message))

    # What goes wrong

    def server_lost(self) -> None:
        """See backend.Holder: one error to the client, with the SQLSTATE that the server gave.

        A client that ran one statement outside a transaction goes on. One that is in a
        transaction, or has sent more, is closed: what it sends next would run outside of it.
        """
        backend = self.backend
        if backend is None:
            return
        ledger, downstream = self._ledger, backend.downstream
        self.backend = backend.holder = None
        self._pool.discard(backend)
        if self._login is not None:
            self._refuse_login(ServerLost("The server closed the connection."))
            return
        goes_on = (
            ledger.status == IDLE
            and ledger.ends == 1
            and not ledger.open_batch
            and not ledger.copying
            and not self._rest
            and not self._upstream.pass_bytes
            and downstream.at_boundary
        )
        sqlstate = downstream.fatal or ServerLost.sqlstate
        message = downstream.fatal_message or "The server closed the connection unexpectedly."
        now = self._clock()
        for request in ledger.requests:
            if request.text:
                request.sqlstate = sqlstate
                ledger.finish(request, now)
                break
        self._pool.statements += ledger.answered
        self._upstream.undo(list(ledger.requests), backend.prepared)
        ledger.clear()
        ledger.transactions = ledger.answered = 0
        if not downstream.at_boundary:
            self.close()
        elif goes_on:
            self.transport.write(
                encode.error_fields("ERROR", sqlstate, message) + encode.ready_for_query(b"I")
            )
        else:
            self._fatal(encode.error_fields("FATAL", sqlstate, message))

    def refused(self, error: DboptError) -> None:
        """See multiplexer.Waiter: no backend came.

        A client that has one whole request waiting is told, and goes on. One that has sent
        more is closed: the rest might not mean the same without what was refused.
        """
        self.waiting = False
        if self._login is not None:
            self._refuse_login(error)
            return
        data = bytes(self._rest)
        self._rest.clear()
        if _is_one_request(data):
            self.transport.write(encode.error_response(error) + _READY)
            self.transport.resume_reading()
        else:
            self._fatal(encode.error_response(error, "FATAL"))

    def _refuse_login(self, error: DboptError) -> None:
        self.gate.failed_login()
        reported = getattr(error, "reported", "") or error.sqlstate
        self._fatal(encode.error_fields("FATAL", reported, error.message, error.hint))

    def cancel(self) -> None:
        """A CancelRequest for this client: cancel what runs, or take it out of the queue."""
        if self.backend is not None:
            if self._ledger.ends:
                self._pool.cancel(self.backend)
        elif self.waiting:
            self._pool.forsake(self)
            self.refused(QueryCancelled("The statement was cancelled while it was queued."))

    def left_pool(self) -> None:
        """The worker has forgotten the client: its pool has one less."""
        if hasattr(self, "_pool"):
            self._pool.clients -= 1

    def drain(self) -> bool:
        """The gateway shuts down: an idle client is told and closed. Whether it was idle."""
        if self.backend is not None or self.waiting or self.closed:
            return False
        self._fatal(encode.error_response(ShuttingDown("The gateway is shutting down."), "FATAL"))
        return True

    def cut(self) -> None:
        """The time to shut down is over."""
        self._fatal(encode.error_response(ShuttingDown("The gateway is shutting down."), "FATAL"))

    def _bad_input(self, error: DboptError) -> None:
        if isinstance(error, ProtocolError):
            self.gate.bad_protocol()
        self._fatal(encode.error_response(error, "FATAL"))

    def _fatal(self, message: bytes) -> None:
        if not self.closed:
            self.transport.write(message)
            self.close()

    def close(self, *, said_goodbye: bool = False) -> None:
        """Flush what was written, and close; the backend is left as `_leave_backend` says."""
        if not self.closed:
            self.closed = True
            self._leave_backend(said_goodbye)
            self.transport.close()

    def _give_up(self, backend: Backend) -> None:
        """The backend cannot be used any more."""
        self.backend = backend.holder = None
        self._pool.discard(backend)

    def _leave_backend(self, said_goodbye: bool = False) -> None:
        """The client is gone. What it runs still is cancelled, unless it said Terminate:
        then PostgreSQL too would run to the end what came before.
        """
        if self.waiting:
            self.waiting = False
            self._pool.forsake(self)
        backend = self.backend
        if backend is None:
            return
        self.backend = backend.holder = None
        ledger = self._ledger
        backend.status = ledger.status
        if self._write_paused and not backend.closed:
            backend.transport.resume_reading()
        if backend.closed:
            self._pool.discard(backend)
        elif ledger.open_batch or ledger.copying or self._upstream.pass_bytes:
            self._pool.discard(backend, cancel_first=True)
        elif ledger.requests:
            if not said_goodbye:
                self._pool.cancel(backend)
            backend.holder = Leftover(backend, self._pool, self._upstream, self._clock)
        else:
            self._pool.release(backend, self._clock())


class Leftover:
    """What a client that is gone has left running: its replies are read, and nobody gets them."""

    def __init__(self, backend: Backend, pool: Pool, upstream: Upstream, clock: Clock) -> None:
        self._backend = backend
        self._pool = pool
        self._upstream = upstream
        self._clock = clock

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        backend, ledger = self._backend, self._upstream.ledger
        try:
            backend.downstream.receive(data, self._upstream, backend.prepared, self._clock(), [])
        except ProtocolError:
            self.server_lost()
            return
        backend.downstream.settings.clear()
        if not ledger.requests and not backend.downstream.fatal:
            backend.holder = None
            backend.status = ledger.status
            # What the client set meanwhile is not known to be what anybody wants.
            backend.settings = {}
            self._pool.release(backend, self._clock())

    def server_lost(self) -> None:
        """See backend.Holder."""
        self._backend.holder = None
        self._pool.discard(self._backend)

    def pause_reading(self) -> None:
        """See backend.Holder: nothing more is written."""

    def resume_reading(self) -> None:
        """See backend.Holder."""


def _is_one_request(data: bytes) -> bool:
    """Whether data is just one simple query or function call, or one batch up to its Sync."""
    position = 0
    while position < len(data):
        kind = data[position]
        position += needed(data[position : position + 5])
        if kind in (F_QUERY, F_FUNCTION_CALL, F_SYNC):
            return position == len(data)
    return False
