"""Relay: the stage in which a client is served.

In transaction mode the client holds a backend from the first message of a transaction to the
ReadyForQuery that ends it. What it sends while it waits for one is kept until it has it.
"""

from __future__ import annotations

import asyncio
from functools import partial

from dbopt.clock import Clock, monotonic
from dbopt.errors import (
    DboptError,
    FeatureNotSupported,
    ListenRefused,
    ProtocolError,
    ServerLost,
    ShuttingDown,
    TooManyChannels,
)
from dbopt.gateway.backend import Backend
from dbopt.gateway.framing import end_of_copy, needed
from dbopt.gateway.guarded import Guarded
from dbopt.gateway.lease import Owner
from dbopt.gateway.leases import waiting_notice
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.naming import FLUSH
from dbopt.gateway.scopes import Scope
from dbopt.wire import encode
from dbopt.wire.types import F_TERMINATE, IDLE

_MAX_WAITING = 1 << 20
"""Bytes that a client may have waiting before its socket is no longer read."""
_MAX_NOTIFICATIONS = 4 << 20
"""Bytes of notifications that may wait for a client that does not read or ends no transaction."""


class Relay(Guarded):
    """See the module. It is a leases.Waiter, a backend.Holder and a notify.Subscriber."""

    __slots__ = ("_awaited", "_need", "_notifications", "_single")
    logging_in = False

    def __init__(
        self,
        client: Owner,
        pool: Pool,
        scope: Scope,
        settings: dict[str, str],
        clock: Clock = monotonic,
    ) -> None:
        super().__init__(client, pool, scope, settings, clock)
        self._single = pool.route.mode == "statement"
        self._sent = clock()
        self._need = 0
        self._awaited: set[bytes] = set()
        self._notifications: list[bytes] | None = None

    def take_over(self, transport: asyncio.Transport, write_paused: bool) -> None:
        """Go on with the transport of the login stage."""
        self.transport = transport
        self._write_paused = write_paused

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
        upstream = self._upstream
        if self.waiting or self._asked or self._awaited or upstream.held or upstream.paced:
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
        if ended := end_of_copy(data):
            self._ledger.unassigned += ended
            data = data[ended:]
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
        if self._client.gate.draining and not self._in_lane:  # who waited already is served
            raise ShuttingDown("The gateway is shutting down.")
        if self._scope.watch is not None and not self._cleared(data):
            return
        backend = self._pool.acquire(self)
        if backend is not None:
            self._take(backend)
            self._forward(backend, data, 0.0)
        else:
            self._rest += data
            self.waiting = True

    def _go_first(self, backend: Backend, waited: float) -> None:
        data = bytes(self._rest)
        self._rest.clear()
        try:
            self._forward(backend, data, waited * 1e6)
        except DboptError as error:
            self._bad_input(error)

    def _forsake(self) -> None:
        self._pool.forsake(self)

    def queued(self, seconds: float, ahead: int) -> None:
        """See leases.Waiter: tell the client why nothing happens."""
        self.transport.write(encode.notice(waiting_notice(seconds, ahead)))

    def _forward(self, backend: Backend, data: bytes, queue_us: float) -> None:
        ledger, upstream = self._ledger, self._upstream
        ledger.backend_pid = backend.pid
        upstream.settings = self._settings
        out: list[bytes] = []
        if self._fresh:
            self._begin_lease(backend, out)
        now = self._clock()
        if ledger.block is not None:
            ledger.block.went_on(now)
        began = len(out)
        taken = upstream.forward(data, backend.prepared, now, out, queue_us)
        if began and ledger.unflushed:
            out.append(FLUSH)  # the client's own message waits: nothing else lets it be answered
        if ledger.mark < taken:
            ledger.received(taken)
        if taken < len(data):
            self._rest += data[taken:] if taken else data
            stopped = upstream.blocked or upstream.held or upstream.unjudged or upstream.paced
            self._need = 0 if stopped else needed(self._rest)
        if len(out) == 1:
            backend.transport.write(out[0])
        elif out:
            backend.transport.write(b"".join(out))
        self._pool.received += len(data)
        if upstream.closing:
            self._terminate()
            return
        if ledger.at_rest and not upstream.pass_bytes:
            self._done_with(backend)  # a Flush alone: there will be no answer
        if upstream.blocked:
            self._subscribe()
        if upstream.heavy:
            self._join_lane()
        if upstream.unjudged:
            self._ask(upstream.unjudged)

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
            self._fail(error)
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
        self._answered(backend)

    def _answered(self, backend: Backend) -> None:
        """Act on what the answer told."""
        downstream, ledger = backend.downstream, self._ledger
        if self._upstream.happened:
            self._happened(backend)
        if downstream.settings or downstream.reset:
            self._settings_changed(backend)
        if downstream.probed is not None:
            self._judge(backend)
        if self._cancel_wanted and not ledger.hides():
            self.cancel()
        if self._ledger.limited is not None:
            self._mind_rows(backend)
        if self._upstream.held and not self._upstream.still_held():
            self._release_held()
            if self.backend is not backend:
                return
        if self._upstream.paced and not ledger.executes:
            self._upstream.paced = False
            if self._rest and (self._in_flight or ledger.status != IDLE):
                self._resume()
                if self.backend is not backend:
                    return
        if self._goodbye and (ledger.copying or not ledger.ends):
            self._depart()  # all is answered, or the server waits for what will never come
            return
        if self._in_flight:
            return
        if ledger.status == IDLE:
            self._done_with(backend)
            if self._notifications:
                self._tell()
            if self._rest and not self._ledger.requests:
                self._resume()
        elif self._single:
            self._open_transaction()
        else:
            # The end of a failed transaction must be seen too: what it did is undone.
            busy = self._pending or self._notifications or downstream.failed or self._in_lane
            self._quiet = not (self._rest or busy)

    def _release_held(self) -> None:
        """What the held message hangs on is known."""
        self._upstream.held = ()
        self._resume()

    def _resume(self) -> None:
        if self.closed:
            return  # what it was told last has closed it: it must not take a backend any more
        try:
            self._go_on()
            self.resume_reading()
        except DboptError as error:
            self._bad_input(error)

    def _open_transaction(self) -> None:
        self.fatal(
            FeatureNotSupported(
                "A pool of mode statement runs each statement alone: no transaction can be opened.",
                hint='Set pool.mode = "transaction" for this database or user.',
            )
        )

    # Notifications

    def _subscribe(self) -> None:
        """The client goes on when the shared listener listens on what it wants to."""
        wanted, self._upstream.blocked = self._upstream.blocked, set()
        if self._listener is None:
            encoding = self._settings.get("client_encoding", "UTF8")
            self._listener = self._client.gate.listener(
                self._pool.database, self._pool.user, encoding
            )
        self._awaited |= wanted
        for name in wanted:
            if name in self._awaited and self._listener is not None:  # none was refused meanwhile
                self._listener.subscribe(self, name, partial(self._heard, name))

    def _heard(self, name: bytes, error: DboptError | None) -> None:
        if self.closed:
            return
        if error is None:
            self._upstream.subscribed.add(name)
        if name not in self._awaited:
            return  # its request was refused for another channel
        if isinstance(error, ListenRefused | TooManyChannels) and self.backend is None:
            self._awaited.clear()
            self.refused(error)
        elif error is not None:
            self.listener_lost(error)
        else:
            self._awaited.discard(name)
            self._unblock()

    def _unblock(self) -> None:
        if not self._awaited:
            self._resume()

    def notified(self, message: bytes) -> None:
        """See notify.Subscriber: at once, or when the client's transaction is over."""
        if self.closed:
            return
        self._spill()
        if self._notifications is None:
            self._notifications = []
        self._notifications.append(message)
        self._quiet = False  # the end of what runs must be seen
        if self._idle:
            self._tell()
        elif sum(map(len, self._notifications)) > _MAX_NOTIFICATIONS:
            self.close()

    def _tell(self) -> None:
        listening = self._channels.channels
        waiting, self._notifications = self._notifications or [], None
        self._quiet = not (self._rest or self.waiting or self._awaited or self._asked)
        data = b"".join(one for one in waiting if one[9 : one.index(0, 9)] in listening)
        if data:
            self.transport.write(data)
        if self._write_paused and self.transport.get_write_buffer_size() > _MAX_NOTIFICATIONS:
            self.fatal(ServerLost("The client does not read its notifications."))

    def listener_lost(self, error: DboptError) -> None:
        """See notify.Subscriber: it must not go on as if it heard all."""
        if not self.closed:
            self.fatal(error)
