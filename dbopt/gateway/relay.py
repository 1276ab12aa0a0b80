"""Relay: the stage in which a client is served.

In transaction mode the client holds a backend from the first message of a transaction to the
ReadyForQuery that ends it. What it sends while it waits for one is kept until it has it.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError, ProtocolError, QueryCancelled, ServerLost, ShuttingDown
from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import Counts, Scope
from dbopt.gateway.express import Express
from dbopt.gateway.framing import end_of_copy, is_one_request, needed
from dbopt.gateway.ledger import SETTINGS, Request
from dbopt.gateway.leftover import Leftover
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.session import after_reset, change, reported, tracked
from dbopt.wire import encode
from dbopt.wire.types import F_TERMINATE, IDLE

_READY = encode.ready_for_query(b"I")
_MAX_WAITING = 1 << 20
"""Bytes that a client may have waiting before its socket is no longer read."""


class Gate(Protocol):
    """The part of the worker that a relay sees."""

    counts: Counts
    draining: bool

    def bad_protocol(self) -> None:
        """A client did not speak the protocol."""


class Owner(Protocol):
    """The client that is relayed."""

    @property
    def gate(self) -> Gate:
        """The worker."""

    def left(self) -> None:
        """The connection is over."""


class Relay(Express):
    """See the module. It is a multiplexer.Waiter and a backend.Holder."""

    __slots__ = ("_cancel_wanted", "_client", "_need", "_rest", "_startup")
    logging_in = False

    def __init__(
        self,
        client: Owner,
        pool: Pool,
        scope: Scope,
        settings: dict[str, str],
        clock: Clock = monotonic,
    ) -> None:
        super().__init__(pool, scope, settings, clock)
        self._client = client
        self._startup = settings
        self._rest = bytearray()
        self._need = 0
        self._cancel_wanted = False

    def take_over(self, transport: asyncio.Transport, write_paused: bool) -> None:
        """Go on with the transport of the login stage."""
        self.transport = transport
        self._write_paused = write_paused

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        self.leave()
        self._client.left()

    # Client → server

    def _receive(self, data: bytes) -> None:
        self._spill()
        self._quiet = False
        if self._rest:
            self._rest += data
            self._go_on()
        elif self.backend is not None:
            self._forward(self.backend, data, 0.0)
        else:
            self._begin(data)

    def _go_on(self) -> None:
        """Work on what was kept, if it is a whole message by now and there is a backend."""
        if self.waiting:
            if len(self._rest) > _MAX_WAITING:
                self.pause_reading()
        elif len(self._rest) >= self._need:
            data = bytes(self._rest)
            self._rest.clear()
            if self.backend is not None:
                self._forward(self.backend, data, 0.0)
            else:
                self._begin(data)

    def _begin(self, data: bytes) -> None:
        """Data came while no backend is held: get one, once a whole message is there."""
        data = data[end_of_copy(data) :]
        if not data:
            self._quiet = True
            return
        self._need = needed(data)
        if len(data) < self._need:
            self._rest += data
            return
        if data[0] == F_TERMINATE:
            self.close()
            return
        if self._client.gate.draining:
            raise ShuttingDown("The gateway is shutting down.")
        backend = self._pool.acquire(self)
        if backend is not None:
            self._take(backend)
            self._forward(backend, data, 0.0)
        else:
            self._rest += data
            self.waiting = True

    def granted(self, backend: Backend, waited: float) -> None:
        """See multiplexer.Waiter."""
        self.waiting = False
        self._take(backend)
        self.resume_reading()
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
        ledger.backend_pid = backend.pid
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
            self._terminate()
        elif ledger.at_rest and not upstream.pass_bytes:
            self._let_go(backend)  # a Flush alone: there will be no answer

    def _begin_lease(self, backend: Backend, out: list[bytes]) -> None:
        self._fresh = False
        if backend.settings is not self._settings:
            message = change(backend.settings, self._settings)
            if message:
                self._ledger.requests.append(Request(SETTINGS))
                self._ledger.ends += 1
                backend.downstream.hiding = True
                backend.prepared.unnamed = None  # any simple Query ends it
                out.append(message)
            backend.settings = self._settings
        out.extend(self._upstream.begin(backend.prepared))

    # Server → client

    def _answer(self, data: bytes) -> None:
        backend = self.backend
        if backend is None:
            return
        out: list[bytes] = []
        downstream = backend.downstream
        try:
            downstream.receive(data, self._upstream, backend.prepared, self._clock(), out)
        except ProtocolError as error:
            self._give_up(backend)
            self.fatal(error)
            return
        if downstream.refused is not None:
            # What came after it ran with the settings of another client.
            refused = downstream.refused
            self._give_up(backend)
            self.fatal_bytes(encode.error_fields("FATAL", refused.sqlstate, refused.message))
            return
        if len(out) == 1:
            self.transport.write(out[0])
        elif out:
            self.transport.write(b"".join(out))
        self._pool.sent += len(data)
        if downstream.settings or downstream.reset:
            self._settings_changed(backend)
        if self._cancel_wanted and not downstream.hiding:
            self.cancel()
        if self._in_flight:
            return
        if self._ledger.status == IDLE:
            self._done_with(backend)
        else:
            self._quiet = not self._rest

    @property
    def _in_flight(self) -> bool:
        ledger = self._ledger
        return bool(
            ledger.ends or ledger.open_batch or ledger.requests or self._upstream.pass_bytes
        )

    def _done_with(self, backend: Backend) -> None:
        if backend.downstream.fatal:
            # The server ends a connection that owes the client nothing: it need not know.
            self._account()
            self._give_up(backend)
        else:
            self._let_go(backend)
        if self._rest:
            self._receive(b"")

    def _let_go(self, backend: Backend) -> None:
        """The transaction is over: others may have the backend."""
        self._account()
        self._detach(backend)
        backend.status = IDLE
        if self._write_paused:
            backend.transport.resume_reading()
        backend.downstream.reset = False
        self._pool.release(backend, self._clock())

    def _detach(self, backend: Backend) -> None:
        self.backend = backend.holder = None
        self._cancel_wanted = False
        self._quiet = not self._rest
        # It may have been paused for a backend whose buffer is full: nobody tells it any more.
        self.resume_reading()

    def _account(self) -> None:
        pool, ledger = self._pool, self._ledger
        pool.transactions += ledger.transactions
        pool.statements += ledger.answered
        ledger.transactions = ledger.answered = 0

    def _settings_changed(self, backend: Backend) -> None:
        """The server reported settings: the client's own SET, or what the gateway applied."""
        downstream = backend.downstream
        mine = tracked(dict(downstream.settings))
        downstream.settings.clear()
        if downstream.reset:
            backend.settings = {**reported(backend.settings, backend.parameters), **mine}
            mine = after_reset(mine, backend.parameters, self._startup)
            self._settings = self._pool.canonical({**self._settings, **mine})
        elif any(self._settings.get(name) != value for name, value in mine.items()):
            self._settings = self._pool.canonical({**self._settings, **mine})
            backend.settings = self._settings
        if "application_name" in mine:
            scope = self._ledger.scope
            self._scope = self._ledger.scope = self._client.gate.counts.scope(
                scope.database, scope.user, mine["application_name"]
            )

    # What goes wrong

    def server_lost(self) -> None:
        """See backend.Holder: one error to the client, with the SQLSTATE that the server gave.

        A client that ran one statement outside a transaction goes on. One that is in a
        transaction, or has sent more, is closed: what it sends next would run outside of it.
        """
        backend = self.backend
        if backend is None:
            return
        self._spill()
        downstream = backend.downstream
        goes_on = self._can_go_on()
        sqlstate = downstream.fatal or ServerLost.sqlstate
        message = downstream.fatal_message or "The server closed the connection unexpectedly."
        self._charge_loss(sqlstate)
        self._upstream.undo(list(self._ledger.requests), backend.prepared)
        self._ledger.clear()
        self._give_up(backend)
        if not downstream.at_boundary:
            self.close()  # the client is within a message: nothing can be said to it
        elif goes_on:
            self.transport.write(encode.error_fields("ERROR", sqlstate, message) + _READY)
        else:
            self.fatal_bytes(encode.error_fields("FATAL", sqlstate, message))

    def _can_go_on(self) -> bool:
        ledger = self._ledger
        hidden = 1 if self.backend is not None and self.backend.downstream.hiding else 0
        return (
            ledger.status == IDLE
            and ledger.ends == 1 + hidden
            and not (ledger.open_batch or ledger.copying)
            and not (self._rest or self._upstream.pass_bytes)
        )

    def _charge_loss(self, sqlstate: str) -> None:
        """Count the statement that ran when the server was lost."""
        for request in self._ledger.requests:
            if request.text:
                request.sqlstate = sqlstate
                self._ledger.finish(request, self._clock())
                break
        self._account()

    def refused(self, error: DboptError) -> None:
        """See multiplexer.Waiter: no backend came.

        A client that has one whole request waiting is told, and goes on. One that has sent
        more is closed: the rest might not mean the same without what was refused.
        """
        self.waiting = False
        data = bytes(self._rest)
        self._rest.clear()
        if is_one_request(data):
            self._quiet = True
            self.transport.write(encode.error_response(error) + _READY)
            self.resume_reading()
        else:
            self.fatal(error)

    def cancel(self) -> asyncio.Task[None] | None:
        """A CancelRequest for this client: cancel what runs, or take it out of the queue.

        While the gateway's own settings query runs it waits: that one must not be hit.
        """
        self._spill()
        if self.backend is not None:
            self._cancel_wanted = self.backend.downstream.hiding
            if self._ledger.requests and not self._cancel_wanted:
                return self._pool.cancel(self.backend)
        elif self.waiting:
            self._pool.forsake(self)
            self.refused(QueryCancelled("The statement was cancelled while it was queued."))
        return None

    def drain(self) -> None:
        """The gateway shuts down: an idle client is told and closed."""
        if self.backend is None and not self.waiting:
            self.fatal(ShuttingDown("The gateway is shutting down."))

    def _bad_input(self, error: DboptError) -> None:
        if isinstance(error, ProtocolError):
            self._client.gate.bad_protocol()
        if self.backend is not None:
            # What the ledger holds may not have been sent: the backend cannot be brought to rest.
            self._give_up(self.backend, cancel_first=True)
        self.fatal(error)

    # How it ends

    def _give_up(self, backend: Backend, *, cancel_first: bool = False) -> None:
        """The backend cannot be used any more."""
        self._detach(backend)
        self._pool.discard(backend, cancel_first=cancel_first)

    def _terminate(self) -> None:
        """The client said Terminate: PostgreSQL too would run to the end what came before."""
        self.closed = True
        self._leave(cancel=False)
        self.transport.close()

    def leave(self) -> None:
        """See Connection: what the client runs still is cancelled."""
        self._leave(cancel=True)

    def _leave(self, cancel: bool) -> None:
        if self.waiting:
            self.waiting = False
            self._pool.forsake(self)
        backend, ledger = self.backend, self._ledger
        if backend is None:
            return
        self._spill()
        self._account()
        self.backend = backend.holder = None
        backend.status = ledger.status
        backend.unfit = backend.unfit or ledger.status != IDLE
        if self._write_paused and not backend.closed:
            backend.transport.resume_reading()
        if backend.closed or self._fresh:
            self._pool.discard(backend)
        elif ledger.open_batch or ledger.copying or self._upstream.pass_bytes:
            # It left in the middle of a request: the server cannot be brought to rest.
            self._pool.discard(backend, cancel_first=True)
        elif ledger.requests:
            if cancel:
                self._pool.cancel(backend)
            backend.holder = Leftover(backend, self._pool, self._upstream, self._clock)
        else:
            self._pool.release(backend, self._clock())
