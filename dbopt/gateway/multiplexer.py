"""The multiplexer: one pool, its policies and its time.

Leases that stay unused go back to psycopg_pool, so that its own max_idle and max_lifetime act.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog

from dbopt.clock import monotonic
from dbopt.errors import ConnectError, DboptError, QueueTimeout
from dbopt.gateway.backend import Backend
from dbopt.gateway.counts import readable
from dbopt.gateway.lane import Lane, lane_limit
from dbopt.gateway.leases import Leases, Waiter
from dbopt.gateway.limits import Limits
from dbopt.gateway.routes import Route
from dbopt.gateway.statements import Registry
from dbopt.gateway.target import Targets
from dbopt.observation import PoolSnapshot

log = structlog.get_logger("dbopt.gateway")

LEASE_IDLE = 1.0
"""Seconds after which an unused lease goes back to psycopg_pool."""
TIMEOUTS = ("query", "transaction", "idle_transaction", "client_idle")
"""What `Pool.timeouts` counts: how often each ended something."""
_REFILL_EVERY = 5.0
"""Seconds between two attempts to have min_size backends again, after the server was away."""
_FORGIVE_AFTER = 1.0
"""Seconds without a queue after which it no longer counts who used how much before."""


class Pool(Leases):
    """All of one (database, user): what it has counted, and what happens as time goes by."""

    __slots__ = (
        "_filling", "_noticed", "_queued_at", "_refill_at", "clients", "lane", "pins",
        "queue_timeouts", "received", "registry", "sent", "statements", "timeouts", "transactions",
        "unused_since",
    )  # fmt: skip

    def __init__(self, route: Route, targets: Targets, limits: Limits | None = None) -> None:
        super().__init__(route, targets, limits)
        self.registry = Registry(max(1000, 10 * route.prepared_statements))
        self.lane: Lane[Waiter] = Lane(lane_limit(route.heavy_share, route.max_size))
        self.clients = 0
        self.transactions = self.statements = 0
        self.received = self.sent = 0
        self.queue_timeouts = 0
        self.pins = 0
        self.timeouts = dict.fromkeys(TIMEOUTS, 0)
        self.unused_since = monotonic()
        self._filling = False
        self._noticed = -1.0
        self._refill_at = 0.0
        self._queued_at = -_FORGIVE_AFTER

    async def close(self) -> None:
        """Refuse who waits and close every backend."""
        self.closing = True
        for waiter in list(self.lane.waiting):
            self.lane.forsake(waiter)
            self._tell_refused(waiter, ConnectError("The gateway is shutting down."))
        self._refuse_all()
        await self._close_all()

    def drain(self) -> None:
        """Give nothing to who comes from now on; who waits already is served."""
        self.closing = True  # every release comes to `_offer`, so that nothing is idle
        self._give_back_idle(len(self.idle))

    @property
    def draining(self) -> bool:
        """Whether `drain` or `close` was called."""
        return self.closing

    def reconfigure(self, route: Route, targets: Targets) -> None:
        """See Supply."""
        self._queue.weights = route.weights
        super().reconfigure(route, targets)
        self.lane.limit = lane_limit(route.heavy_share, route.max_size)
        self._fill_lane()

    # The lane

    def forsake(self, waiter: Waiter) -> None:
        """The waiter no longer waits, for whichever it did."""
        if not self.lane.forsake(waiter):
            super().forsake(waiter)

    def leave_lane(self) -> None:
        """A client has ended its heavy statement, or the transaction with it."""
        self.lane.leave()
        self._fill_lane()

    def _fill_lane(self) -> None:
        """In a loop: who leaves at once, and there may be a thousand, must not nest."""
        if self._filling:
            return
        self._filling = True
        try:
            while (waiter := self.lane.next(monotonic())) is not None:
                self._safely(waiter.let_in)
        finally:
            self._filling = False

    def _end_lane_waits(self, now: float) -> None:
        timeout = self.route.queue_timeout
        for waiter, since in list(self.lane.waiting.items()):
            if now - since < timeout:
                break
            self.queue_timeouts += 1
            self.lane.forsake(waiter)
            self._tell_refused(
                waiter,
                QueueTimeout(
                    f"{self.lane.limit} heavy statements run in pool {self.name}, as many as may, "
                    f"and none ended within {timeout:g} s.",
                    hint="Make them lighter, or raise guard.heavy_share.",
                ),
            )

    # Time

    def tick(self, now: float) -> None:
        """Once in a while: end what lasts too long, tell who waits, give back what is not used.

        It also serves and fetches anew for who waits, so that no error leaves one waiting
        while there is a backend for it.
        """
        self._end_waits(now)
        self._end_lane_waits(now)
        if self.waiting:
            self._queued_at = now
            self._charge(now)
            self._tell_queued(now)
            self._serve(now)
            self._pg.grow()
            self._fetch_more()
            if self.limits is not None and not self._pg.size:
                self.limits.demand(self.database, self.user, self._room_made)
        elif now - self._queued_at > _FORGIVE_AFTER:
            self._queue.forgive()
        for backend in list(self._leased):
            self._tick_backend(backend, now)
        self._give_back_unused(now)
        self._refill(now)
        if self.clients or self._leased:
            self.unused_since = now

    def _tick_backend(self, backend: Backend, now: float) -> None:
        if backend.closed:
            # Its holder has been told, and has failed: its place must not be lost with it.
            self.backend_lost(backend)
            return
        if now >= backend._expire_at:
            backend.unfit = True
        holder = backend.holder
        if holder is not None and not self._safely(holder.tick, now, self.route):
            backend.abort()

    def _safely(self, call: Callable[..., None], *given: Any) -> bool:
        """Whether it went well: one client's failure must not stop the clock of all."""
        try:
            call(*given)
        except Exception:
            log.exception("a client failed as time went by", pool=self.name)
            return False
        return True

    def _give_back_unused(self, now: float) -> None:
        idle = self.idle
        reserve = 0 if self.waiting else min(self._pg.size - self.route.max_size, len(idle))
        count = max(0, reserve)
        while count < len(idle) and now - idle[count].idle_since > LEASE_IDLE:
            count += 1
        if count:
            self._give_back_idle(count)

    def _room_made(self) -> None:
        """Another pool has given up a backend for this one."""
        if not self._closed:
            self._pg.grow()
            self._fetch_more()

    def _refill(self, now: float) -> None:
        """psycopg_pool gives up those that it cannot open, and tries again only when asked."""
        if self._pg.size < self.route.min_size and now >= self._refill_at and not self.closing:
            self._refill_at = now + _REFILL_EVERY
            self._pg.grow()

    def _end_waits(self, now: float) -> None:
        timeout = self.route.queue_timeout
        for waiter, since in list(self.waiting.items()):
            if now - since < timeout:
                break
            self.queue_timeouts += 1
            self._refuse(waiter, self._queue_timeout())

    def _charge(self, now: float) -> None:
        """Charge leases that run, those too that began when nobody else waited."""
        self._queue.forget(now)
        for backend in self._leased:
            holder, ticket = backend.holder, backend.ticket
            if ticket is not None and ticket.since >= backend.idle_since:
                self._queue.charge(ticket, now, over=False)
            elif holder is not None:
                application = getattr(holder, "application", None)  # what is no client has none
                if application is not None:
                    backend.ticket = self._queue.begin(application, now)

    def _tell_queued(self, now: float) -> None:
        """Tell who has waited for queue_notice by now, and had not at the last look."""
        if not self.route.queue_notice:
            return
        before, self._noticed = self._noticed, now - self.route.queue_notice
        for waiting in (self.waiting, self.lane.waiting):
            for ahead, (waiter, since) in enumerate(list(waiting.items())):
                if since > self._noticed:
                    break
                if since > before:
                    self._safely(waiter.queued, now - since, ahead)

    def _queue_timeout(self) -> DboptError:
        if self._last_error is not None and not self._leased:
            return ConnectError(self._last_error.message, hint=self._last_error.hint)
        waited = f"came free within {self.route.queue_timeout:g} s"
        limit = self.limits.full(self.database, self.user) if self.limits is not None else ""
        if limit and len(self._leased) < self.route.max_size:
            return QueueTimeout(
                f"No server connection of pool {self.name} {waited}: {limit}.",
                hint="Look for long transactions, or raise that limit.",
            )
        return QueueTimeout(
            f"No server connection of pool {self.name} {waited}: {len(self._leased)} of "
            f"{self._largest} are in use and {len(self.waiting)} clients wait.",
            hint="Look for long transactions, or raise pool.max_size.",
        )

    def snapshot(self, now: float) -> PoolSnapshot:
        """How the pool is at this moment."""
        oldest = min(next(iter(w.values()), now) for w in (self.waiting, self.lane.waiting))
        available = self._pg.get_stats()["pool_available"]
        holders = [backend.holder for backend in self._leased if backend.holder is not None]
        return PoolSnapshot(
            database=readable(self.database),
            user=readable(self.user),
            mode=self.route.mode,
            cl_active=len(holders) - self._cleaning,
            cl_waiting=len(self.waiting) + len(self.lane.waiting),
            cl_pinned=sum(bool(holder.pinned) for holder in holders),
            sv_active=len(self._leased) - len(self.idle) - self._cleaning,
            sv_idle=len(self.idle) + available,
            sv_tested=self._cleaning,
            sv_login=max(0, self._pg.size - available - len(self._leased)),
            sv_reserve=max(0, len(self._leased) - self.route.max_size),
            max_size=self.route.max_size,
            maxwait=now - oldest,
            xact_count=self.transactions,
            query_count=self.statements,
            received=self.received,
            sent=self.sent,
            wait_time_us=self.wait_us,
            queue_timeouts=self.queue_timeouts,
            queue_refusals=self.queue_refusals,
            server_errors=self.server_errors,
            pins=self.pins,
            query_timeouts=self.timeouts["query"],
            transaction_timeouts=self.timeouts["transaction"],
            idle_transaction_timeouts=self.timeouts["idle_transaction"],
            client_idle_timeouts=self.timeouts["client_idle"],
            lane_limit=self.lane.limit,
            lane_active=self.lane.inside,
            lane_waiting=len(self.lane.waiting),
            lane_waits=self.lane.waits,
            lane_wait_us=self.lane.wait_us,
        )
