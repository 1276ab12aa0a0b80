"""Leases: which client has which backend, and in what order those that wait are served.

psycopg_pool opens, checks, recycles and reopens connections; a lease from it is kept while
there is work, so that giving a backend from one client to the next costs two list operations.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

import structlog

from dbopt.clock import monotonic
from dbopt.errors import ConnectError, DboptError, QueueFull, ServerRefused
from dbopt.gateway.backend import Backend
from dbopt.gateway.cancel import cancel
from dbopt.gateway.limits import Limits
from dbopt.gateway.queue import FairQueue
from dbopt.gateway.routes import Route
from dbopt.gateway.supply import Supply
from dbopt.gateway.target import Targets
from dbopt.wire.types import IDLE

log = structlog.get_logger("dbopt.gateway")


class Waiter(Protocol):
    """Who waits for a backend."""

    def granted(self, backend: Backend, waited: float) -> None:
        """Here it is; `waited` is seconds."""

    def refused(self, error: DboptError) -> None:
        """There is none."""

    def queued(self, seconds: float, ahead: int) -> None:
        """It has waited that long, and so many were there before it. Told once."""

    def let_in(self) -> None:
        """The lane, which it waited for, has room for it."""

    @property
    def application(self) -> str:
        """The client's application_name; those of one pool share it by their weights."""

    @property
    def logging_in(self) -> bool:
        """Whether it waits to be let in, and so is told at once when the server refuses."""


class Leases(Supply):
    """The backends that clients share, and the clients that wait for one.

    A request costs `take` and `release` two list operations; all policy is where somebody
    waits, or a backend is `unfit` to go to the next client just so.
    """

    __slots__ = (
        "_queue", "_serving", "_turned_away", "queue_refusals", "wait_us",
    )  # fmt: skip

    def __init__(self, route: Route, targets: Targets, limits: Limits | None) -> None:
        super().__init__(route, targets, limits)
        self.wait_us = 0.0
        self.queue_refusals = 0
        self._queue: FairQueue[Waiter] = FairQueue(route.weights)
        self.waiting = self._queue.waiting
        self._turned_away: set[Waiter] = set()
        self._serving = False

    def take(self) -> Backend | None:
        """A backend that is free, where nobody waits for one."""
        idle = self.idle
        while idle and not self.waiting:
            backend = idle.pop()
            if not backend.closed:
                return backend
        return None

    def acquire(self, waiter: Waiter) -> Backend | None:
        """A backend at once, or None: then `waiter.granted` or `waiter.refused` is called."""
        backend = self.take()
        if backend is not None:
            return backend
        if 0 < self.route.max_queue <= len(self.waiting):
            # Not at once: who asks does not expect to be refused within its asking.
            self._turned_away.add(waiter)
            asyncio.get_running_loop().call_soon(self._turn_away, waiter, self._queue_full())
            return None
        self._queue.push(waiter, waiter.application, monotonic())
        self._fetch_more()
        return None

    def forsake(self, waiter: Waiter) -> None:
        """The waiter no longer waits."""
        self._queue.remove(waiter)
        self._turned_away.discard(waiter)

    def release(self, backend: Backend, now: float) -> None:
        """A client is done with a backend; what it left behind is undone first."""
        if backend.unfit or self.waiting or self.closing:
            self._settle(backend, now)
            if not backend.cancels:  # else `_cancelled` goes on once none can hit the next client
                self._offer(backend, now)
            return
        backend.idle_since = now
        self.idle.append(backend)

    def _settle(self, backend: Backend, now: float) -> None:
        """Charge the application whose lease is over, if it is known."""
        ticket, backend.ticket = backend.ticket, None
        # One from before the backend was last idle is of an earlier lease.
        if ticket is not None and ticket.since >= backend.idle_since:
            self._queue.charge(ticket, now, over=True)

    def _offer(self, backend: Backend, now: float) -> None:
        if (
            backend.unfit
            or backend.status != IDLE
            or now >= backend._expire_at
            or (self.closing and not self.waiting)
        ) and not self._make_fit(backend, now):
            return
        backend.idle_since = now
        self.idle.append(backend)
        if self.waiting:
            self._serve(now)

    def _make_fit(self, backend: Backend, now: float) -> bool:
        """Whether the backend may go to the next client; else what is to be done is begun."""
        if backend.closed:
            self.backend_lost(backend)
        elif now >= backend._expire_at or self._pg.size > self._largest or self._closed:
            self._give_back(backend)  # psycopg_pool replaces what is too old
        elif self._owed is not None:
            self._pay(backend)
        elif backend.reset_sql:
            self._spawn(self._clean(backend))
        elif backend.status != IDLE or (self.closing and not self.waiting):
            self._give_back(backend)  # psycopg_pool rolls an open transaction back
        else:
            backend.unfit = False
            return True
        return False

    def _serve(self, now: float) -> None:
        """Grants to who waits, in order, what is free.

        In a loop: a client that is done at once (a login whose settings are there already)
        releases within `granted`, and a thousand of them must not nest.
        """
        if self._serving:
            return
        self._serving = True
        try:
            while self.waiting and self.idle:
                backend = self.idle.pop()
                if not backend.closed:
                    self._grant(backend, now)
        finally:
            self._serving = False

    def discard(self, backend: Backend, *, cancel_first: bool = False) -> None:
        """A client leaves a backend that is in no state to be shared: close it."""
        self._settle(backend, monotonic())
        if cancel_first and not backend.closed:
            backend.transport.pause_reading()  # nobody wants what it sends
            backend.unfit = True
            backend.cancels += 1  # for good: the end of an earlier cancel must not offer it
            self._spawn(self._cancel_and_close(backend))
        else:
            backend.abort()
            self.backend_lost(backend)

    def cancel(self, backend: Backend) -> asyncio.Task[None]:
        """Cancel what a leased backend runs; it is not shared before that is over."""
        backend.cancels += 1
        backend.unfit = True
        return self._spawn(self._cancelled(backend))

    async def _cancelled(self, backend: Backend) -> None:
        try:
            await cancel(backend)
        finally:
            backend.cancels -= 1
        if not backend.cancels and backend.holder is None and backend in self._leased:
            self._offer(backend, monotonic())

    async def _cancel_and_close(self, backend: Backend) -> None:
        try:
            await cancel(backend)
        finally:
            backend.abort()
            self.backend_lost(backend)

    # The queue

    def _reserve_due(self) -> bool:
        waited = monotonic() - next(iter(self.waiting.values()), monotonic())
        return waited >= self.route.reserve_timeout

    def _grant(self, backend: Backend, now: float) -> None:
        waiter, since, backend.ticket = self._queue.pop(now)
        self.wait_us += (now - since) * 1e6
        try:
            waiter.granted(backend, now - since)
        except Exception:
            # One client's failure must not end the call of the client that released.
            log.exception("a client failed when it was given a backend", pool=self.name)
            backend.abort()  # whereupon its holder is told, and leaves it

    def _refuse(self, waiter: Waiter, error: DboptError) -> None:
        if self._queue.remove(waiter):
            self._tell_refused(waiter, error)

    def _turn_away(self, waiter: Waiter, error: DboptError) -> None:
        if waiter in self._turned_away:
            self._turned_away.discard(waiter)
            self.queue_refusals += 1
            self._tell_refused(waiter, error)

    def _tell_refused(self, waiter: Waiter, error: DboptError) -> None:
        try:
            waiter.refused(error)
        except Exception:
            log.exception("a client failed when it was refused a backend", pool=self.name)

    def _refuse_all(self) -> None:
        for waiter in list(self.waiting):
            self._refuse(waiter, ConnectError("The gateway is shutting down."))

    def connect_failed(self, error: DboptError) -> None:
        """See backend.Owner. Who logs in is told at once; who has work waits its turn.

        So a server that restarts costs its clients time, and a wrong password does not.
        """
        super().connect_failed(error)
        if self._leased or (isinstance(error, ServerRefused) and error.temporary):
            return
        for waiter in [w for w in self.waiting if w.logging_in]:
            self._refuse(waiter, error)

    def _queue_full(self) -> DboptError:
        return QueueFull(
            f"{len(self.waiting)} clients already wait for a server connection of pool "
            f"{self.name}; max_queue is {self.route.max_queue}.",
            hint="Look for long transactions, or raise pool.max_size or pool.max_queue.",
        )


def waiting_notice(seconds: float, ahead: int) -> str:
    """What a client is told that has waited so long, with so many before it."""
    before = "no other client is" if not ahead else f"{ahead} other clients are"
    before = "1 other client is" if ahead == 1 else before
    return (
        f"The gateway has queued this client for {seconds:.0f} s: all server connections of its "
        f"pool are in use, and {before} before it."
    )
