"""Ending: how a client's requests, and its connection, end otherwise than by their answers."""

from __future__ import annotations

import asyncio

from dbopt.errors import (
    ClientIdleTimeout,
    DboptError,
    IdleTransactionTimeout,
    ListenRefused,
    ProtocolError,
    QueryCancelled,
    QueryTimeout,
    ServerLost,
    ShuttingDown,
    TransactionTimeout,
)
from dbopt.gateway.backend import Backend
from dbopt.gateway.framing import is_one_request
from dbopt.gateway.guarding import strictest
from dbopt.gateway.lease import Lease
from dbopt.gateway.leftover import Leftover
from dbopt.gateway.request import PROBE, SETTINGS, Request
from dbopt.gateway.routes import Route
from dbopt.wire import encode
from dbopt.wire.types import IDLE

READY = encode.ready_for_query(b"I")
_CANCEL_GRACE = 10.0
"""Seconds after which a server that does not act on a cancel is left."""


class Ending(Lease):
    """See the module. It is the part of a Relay that says what went wrong, and leaves."""

    __slots__ = ()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio."""
        self.closed = True
        self.leave()
        self._client.left()

    def server_lost(self) -> None:
        """See backend.Holder: one error to the client, with the SQLSTATE that the server gave.

        A client that ran one statement outside a transaction goes on. One that is in a
        transaction, or has sent more, is closed: what it sends next would run outside of it.
        So is one whose session held something, since that is gone.
        """
        backend = self.backend
        if backend is None:
            return
        self._spill()
        downstream = backend.downstream
        goes_on, failed = self._can_go_on(), downstream.failed
        sqlstate = downstream.fatal or ServerLost.sqlstate
        message = downstream.fatal_message or "The server closed the connection unexpectedly."
        self._charge_loss(sqlstate)
        self._ledger.end_block(self._clock(), failed=True)
        lost = list(self._ledger.requests)
        self._ledger.clear()
        self._upstream.undo(lost, backend.prepared)
        self._give_up(backend)
        if not downstream.at_boundary:
            self.close()  # the client is within a message: nothing can be said to it
        elif goes_on:
            # What has failed already has been told: of one request there is one error.
            report = b"" if failed else encode.error_fields("ERROR", sqlstate, message)
            self.transport.write(report + READY)
        else:
            self.fatal_bytes(encode.error_fields("FATAL", sqlstate, message))

    def _can_go_on(self) -> bool:
        ledger = self._ledger
        hidden = sum(request.kind >= SETTINGS for request in ledger.requests)
        return (
            ledger.status == IDLE
            and ledger.ends == 1 + hidden
            and not (ledger.open_batch or ledger.copying)
            and not (self._rest or self._upstream.pass_bytes)
            and not (self._kept or self._pending or self._goodbye)
        )

    def _charge_loss(self, sqlstate: str) -> None:
        """Count the statement that ran when the server was lost."""
        for request in self._ledger.requests:
            if request.text:
                request.sqlstate = request.sqlstate or sqlstate
                self._ledger.finish(request, self._clock())
                break
        self._account()

    def refused(self, error: DboptError) -> None:
        """See leases.Waiter: no backend came.

        A client that has one whole request waiting is told, and goes on. One that has sent
        more is closed: the rest might not mean the same without what was refused.
        """
        self.waiting = False
        self._leave_lane()
        if self._queued is not None:
            self._unqueue()
        data = bytes(self._rest)
        self._rest.clear()
        if is_one_request(data):
            self._quiet = True
            sqlstate = error.reported if isinstance(error, ListenRefused) else error.sqlstate
            report = encode.error_fields("ERROR", sqlstate, error.message, hint=error.hint)
            self.transport.write(report + READY)
            self.resume_reading()
        else:
            self.fatal(error)

    def cancel(self) -> asyncio.Task[None] | None:
        """A CancelRequest for this client: cancel what runs, or take it out of the queue.

        While a query of the gateway's own runs it waits: that one must not be hit.
        """
        self._spill()
        if self.backend is not None:
            self._cancel_wanted = self._ledger.hides()
            if self._ledger.requests and not self._cancel_wanted:
                return self._pool.cancel(self.backend)
        elif self.waiting:
            self._forsake()
            self.refused(QueryCancelled("The statement was cancelled while it was queued."))
        return None

    def drain(self) -> None:
        """The gateway shuts down: an idle client is told and closed."""
        if self._idle and not self.waiting:
            self.fatal(ShuttingDown("The gateway is shutting down."))

    @property
    def _idle(self) -> bool:
        """Whether the client runs nothing and is in no transaction."""
        if self.backend is None:
            return True
        return self._lone is None and not self._in_flight and self._ledger.status == IDLE

    def _bad_input(self, error: DboptError) -> None:
        if isinstance(error, ProtocolError):
            self._client.gate.bad_protocol()
        # What the ledger holds may not have been sent: the backend cannot be brought to rest.
        self._fail(error, cancel_first=True)

    def _fail(self, error: DboptError, *, cancel_first: bool = False) -> None:
        """The client cannot be served any more, and its backend not be used."""
        backend = self.backend
        self._ledger.end_block(self._clock(), failed=True)
        if backend is not None:
            self._give_up(backend, cancel_first=cancel_first)
        if backend is None or backend.downstream.at_boundary:
            self.fatal(error)
        else:
            self.close()  # the client is within a message: nothing can be said to it

    # Timeouts: looked at a few times a second, so that no statement pays for a timer.

    def tick(self, now: float, route: Route) -> None:
        """See backend.Holder: end what takes too long."""
        backend = self.backend
        if backend is None:
            return
        self._spill()
        ledger = self._ledger
        first = next((request for request in ledger.requests if request.sent), None)
        if ledger.judged is not first and not backend.cancels:
            ledger.verdict = None  # it was done before the cancel came
        open_ = ledger.status != IDLE or (ledger.open_batch and not ledger.ends)
        if first is not None:
            self._watch_query(backend, first, now - max(first.sent, ledger.last_done), route)
        elif open_:
            self._limit(
                "idle_transaction", now - max(ledger.last_done, ledger.began),
                route.idle_transaction_timeout,
                IdleTransactionTimeout("The transaction was idle for too long."),
            )  # fmt: skip
        if open_ and not self.closed:
            self._limit(
                "transaction", now - ledger.began, route.transaction_timeout,
                TransactionTimeout("The transaction took too long."),
            )  # fmt: skip

    def _watch_query(self, backend: Backend, first: Request, took: float, route: Route) -> None:
        ledger = self._ledger
        limit = strictest(route.query_timeout, first.timeout)
        if not 0 < limit < took or ledger.hides():
            return
        error = QueryTimeout(f"The statement ran longer than {limit:g} s.")
        if ledger.verdict is None and not backend.cancels:
            ledger.verdict, ledger.judged = error, first
            self._count("query")
            self._pool.cancel(backend)
        elif took > limit + _CANCEL_GRACE:
            self._end(error)

    def _limit(self, which: str, took: float, limit: float, error: DboptError) -> None:
        if 0 < limit < took and not self.closed:
            self._count(which)
            self._end(error)

    def _count(self, which: str) -> None:
        timeouts = self._pool.timeouts
        timeouts[which] = timeouts.get(which, 0) + 1

    def _end(self, error: DboptError) -> None:
        backend = self.backend
        if backend is not None and not backend.downstream.at_boundary:
            self.close()  # as above
        else:
            self.fatal(error)

    def idle_tick(self, now: float, timeout: float) -> None:
        """Close a client that has sent nothing for too long, outside of any transaction."""
        if self._idle and not self.waiting and not self._rest:
            since = max(self._sent, self._ledger.last_done)
            self._limit("client_idle", now - since, timeout, ClientIdleTimeout())

    # How it ends

    def _forsake(self) -> None:
        """Wait for a backend no longer."""
        raise NotImplementedError

    def _terminate(self) -> None:
        """The client said Terminate: as PostgreSQL, run to the end what came before."""
        ledger = self._ledger
        if ledger.ends and not (ledger.open_batch or ledger.copying):
            self._goodbye = True
            self.transport.pause_reading()
        else:
            self._depart()

    def _depart(self) -> None:
        """Close, and let what still runs run on."""
        self.closed = True
        self._leave(cancel=False)
        self.transport.close()

    def leave(self) -> None:
        """See Connection: what the client runs still is cancelled."""
        self._leave(cancel=not self._goodbye)

    def _leave(self, cancel: bool) -> None:
        if self.waiting:
            self.waiting = False
            self._forsake()
        self._leave_lane()
        if self._listener is not None:
            self._listener.unsubscribe(self)
            self._listener = None
        backend, ledger = self.backend, self._ledger
        if backend is None:
            return
        self._spill()
        self._account()
        self._leave_clean(backend)
        self._retire_spoilt(backend)
        self.backend = backend.holder = None
        backend.status = ledger.status
        backend.unfit = backend.unfit or ledger.status != IDLE
        if self._write_paused and not backend.closed:
            backend.transport.resume_reading()
        within = ledger.open_batch or ledger.copying or self._upstream.pass_bytes
        if not ledger.requests or backend.closed or within:
            ledger.end_block(self._clock(), failed=True)  # else when what it has left is done
        if backend.closed or self._fresh:
            self._pool.discard(backend)
        elif within:
            # It left in the middle of a request: the server cannot be brought to rest.
            self._pool.discard(backend, cancel_first=True)
        elif ledger.requests:
            if cancel:
                self._pool.cancel(backend)
            backend.holder = Leftover(
                backend, self._pool, self._upstream, self._clock, cancelled=cancel
            )
        else:
            self._pool.release(backend, self._clock())

    def _leave_clean(self, backend: Backend) -> None:
        """Say what the backend must be sent before anybody else has it."""
        for request in self._ledger.requests:
            if request.work is not None:
                self._upstream.happened += request.work.steps
        if self._upstream.happened:
            self._happened(backend)
        route, held = self._pool.route, self._holdings
        asked = any(request.kind == PROBE for request in self._ledger.requests)
        if not (self._kept or self._pending or asked):
            return
        if self._session and route.reset == "always":
            backend.reset_sql = route.reset_query.encode()
        elif held is not None and (self._session or route.unshareable != "allow"):
            backend.reset_sql = held.reset_sql(route.reset_query)
        backend.unfit = backend.unfit or bool(backend.reset_sql)
