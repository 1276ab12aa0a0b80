"""Leftover: what a client that is gone has left running."""

from __future__ import annotations

from dbopt.clock import Clock
from dbopt.errors import ProtocolError
from dbopt.gateway.backend import Backend
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.routes import Route
from dbopt.gateway.session import reported, tracked
from dbopt.gateway.upstream import Upstream
from dbopt.wire.types import IDLE

_PATIENCE = 30.0
"""Seconds that what a client left may run on, where the route has no query_timeout."""
_INSIST_EVERY = 1.0
"""Seconds between two cancels: one that came before the server had read the query did nothing."""


class Leftover:
    """Reads the replies that nobody gets, until the backend is at rest and can be shared.

    It is a backend.Holder. `cancelled`: the client wants no more of it, and it was cancelled.
    """

    pinned = ""

    def __init__(
        self,
        backend: Backend,
        pool: Pool,
        upstream: Upstream,
        clock: Clock,
        *,
        cancelled: bool = False,
    ) -> None:
        self._backend = backend
        self._pool = pool
        self._upstream = upstream
        self._clock = clock
        self._since = self._cancelled_at = clock()
        self._cancelled = cancelled

    def from_server(self, data: bytes) -> None:
        """See backend.Holder."""
        backend, ledger = self._backend, self._upstream.ledger
        try:
            backend.downstream.receive(data, self._upstream, backend.prepared, self._clock(), [])
        except ProtocolError:
            self.server_lost()
            return
        if backend.downstream.settings:
            changed = tracked(dict(backend.downstream.settings))
            backend.settings = {**backend.settings, **changed}
            backend.downstream.settings.clear()
        if backend.downstream.reset_all:
            backend.settings = reported(backend.settings, backend.parameters)
            backend.downstream.reset_read()
        if backend.downstream.refused is not None:
            self.server_lost()  # it does not have the settings that it is noted to have
        elif ledger.copying or ledger.open_batch:
            # A COPY that began after its client had left, or a batch that failed: the server
            # waits for data, or for a Sync, that nobody sends.
            self.server_lost()
        elif not ledger.requests and not backend.downstream.fatal:
            backend.holder = None
            ledger.end_block(self._clock(), failed=True)
            backend.downstream.forget()
            backend.status = ledger.status
            backend.unfit = backend.unfit or ledger.status != IDLE
            self._pool.release(backend, self._clock())

    def server_lost(self) -> None:
        """See backend.Holder."""
        self._lose()

    def tick(self, now: float, route: Route) -> None:
        """See backend.Holder: a statement that no cancel ends costs the backend."""
        if now - self._since >= (route.query_timeout or _PATIENCE):
            self._lose(cancel_first=True)
        elif self._cancelled and now - self._cancelled_at >= _INSIST_EVERY:
            self._cancelled_at = now
            if not self._backend.cancels:
                self._pool.cancel(self._backend)

    def _lose(self, *, cancel_first: bool = False) -> None:
        self._upstream.ledger.end_block(self._clock(), failed=True)
        self._backend.holder = None
        self._pool.discard(self._backend, cancel_first=cancel_first)

    def pause_reading(self) -> None:
        """See backend.Holder: nothing more is sent."""

    def resume_reading(self) -> None:
        """See backend.Holder."""
