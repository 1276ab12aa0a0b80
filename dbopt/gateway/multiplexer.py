"""The multiplexer: leases backends from psycopg_pool and shares them among clients.

psycopg_pool opens, checks, recycles and reopens connections; a lease from it is kept while
there is work, so that giving a backend from one client to the next costs two list operations.
Leases that stay unused go back, so that the pool's own max_idle and max_lifetime act.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Protocol, cast

import structlog
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout

from dbopt.clock import monotonic
from dbopt.errors import ConnectError, DboptError, QueueTimeout, ServerRefused
from dbopt.gateway.backend import Backend
from dbopt.gateway.cancel import cancel
from dbopt.gateway.counts import readable
from dbopt.gateway.defaults import Defaults
from dbopt.gateway.limits import Limits
from dbopt.gateway.routes import Route
from dbopt.gateway.statements import Registry
from dbopt.gateway.target import Targets
from dbopt.observation import PoolSnapshot
from dbopt.wire.types import IDLE

log = structlog.get_logger("dbopt.gateway")

LEASE_IDLE = 1.0
"""Seconds after which an unused lease goes back to psycopg_pool."""
_FETCH_TIMEOUT = 2.0
_RECONNECT_TIMEOUT = 3.0
"""psycopg_pool waits ever longer between attempts; given up early, the next client's need
starts anew, so that a server that comes back is found within seconds."""
_WARN_EVERY = 60.0
TIMEOUTS = ("query", "transaction", "idle_transaction", "client_idle")
"""What `Pool.timeouts` counts: how often each ended something."""


class Waiter(Protocol):
    """Who waits for a backend."""

    def granted(self, backend: Backend, waited: float) -> None:
        """Here it is; `waited` is seconds."""

    def refused(self, error: DboptError) -> None:
        """There is none."""

    def queued(self, seconds: float, ahead: int) -> None:
        """It has waited that long, and so many were there before it. Told once."""

    @property
    def application(self) -> str:
        """The client's application_name; those of one pool share it by their weights."""

    @property
    def logging_in(self) -> bool:
        """Whether it waits to be let in, and so is told at once when the server refuses."""


class Pool(Defaults):
    """The backends of one (database, user), and the clients that wait for one."""

    def __init__(self, route: Route, targets: Targets, limits: Limits | None = None) -> None:
        super().__init__()
        self.route = route
        self.targets = targets
        self.limits = limits
        self.database = route.database
        self.user = route.user
        self.name = f"{route.database}/{route.user}"
        self.registry = Registry(max(1000, 10 * route.prepared_statements))
        self.pins = 0
        self.timeouts = dict.fromkeys(TIMEOUTS, 0)
        self.clients = 0
        self.transactions = self.statements = 0
        self.received = self.sent = 0
        self.wait_us = 0.0
        self.queue_timeouts = self.server_errors = 0
        self.unused_since = monotonic()
        self._idle: list[Backend] = []
        self._leased: set[Backend] = set()
        self._waiting: dict[Waiter, float] = {}
        self._fetching = 0
        self._serving = False
        self._closing = False
        self._last_error: DboptError | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._warned_at = -_WARN_EVERY
        self._pg = self._make_pool()

    def _make_pool(self) -> AsyncConnectionPool[Any]:
        route = self.route
        return AsyncConnectionPool(
            "",
            connection_class=cast(Any, Backend),
            kwargs=self._arguments,
            min_size=route.min_size,
            max_size=route.max_size,
            open=False,
            name=self.name,
            max_idle=route.max_idle,
            max_lifetime=route.max_lifetime,
            reconnect_timeout=_RECONNECT_TIMEOUT,
        )

    def _arguments(self) -> dict[str, Any]:
        """What Backend.connect is called with, each time."""
        return {
            "targets": self.targets,
            "owner": self,
            "statements": self.route.prepared_statements,
            "timeout": self.route.connect_timeout,
            "connect_query": self.route.connect_query,
        }

    async def open(self) -> None:
        """Begin to connect."""
        await self._pg.open()

    async def close(self) -> None:
        """Refuse who waits and close every backend."""
        self._closing = True
        self._refuse_all()
        await self._pg.close(timeout=1.0)
        for backend in list(self._leased):
            self._leased.discard(backend)
            await backend.close()

    # Leases

    def take(self) -> Backend | None:
        """A backend that is free, where nobody waits for one."""
        idle = self._idle
        while idle and not self._waiting:
            backend = idle.pop()
            if not backend.closed:
                return backend
        return None

    def acquire(self, waiter: Waiter) -> Backend | None:
        """A backend at once, or None: then `waiter.granted` or `waiter.refused` is called."""
        backend = self.take()
        if backend is not None:
            return backend
        self._waiting[waiter] = monotonic()
        self._fetch_more()
        return None

    def forsake(self, waiter: Waiter) -> None:
        """The waiter no longer waits."""
        self._waiting.pop(waiter, None)

    def release(self, backend: Backend, now: float) -> None:
        """A client is done with a backend; an open transaction is rolled back first."""
        if backend.unfit or self._waiting or self._closing:
            if not backend.cancels:  # else `_cancelled` goes on once none can hit the next client
                self._offer(backend, now)
            return
        backend.idle_since = now
        self._idle.append(backend)

    def _offer(self, backend: Backend, now: float) -> None:
        if backend.closed:
            self.backend_lost(backend)
        elif backend.status != IDLE or now >= backend._expire_at or self._closing:
            # psycopg_pool rolls an open transaction back, and replaces what is too old.
            self._give_back(backend)
        else:
            backend.unfit = False
            backend.idle_since = now
            self._idle.append(backend)
            if self._waiting:
                self._serve(now)

    def _serve(self, now: float) -> None:
        """Grants to who waits, in order, what is free.

        In a loop: a client that is done at once (a login whose settings are there already)
        releases within `granted`, and a thousand of them must not nest.
        """
        if self._serving:
            return
        self._serving = True
        try:
            while self._waiting and self._idle:
                backend = self._idle.pop()
                if not backend.closed:
                    self._grant(backend, now)
        finally:
            self._serving = False

    def discard(self, backend: Backend, *, cancel_first: bool = False) -> None:
        """A client leaves a backend that is in no state to be shared: close it."""
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

    def _grant(self, backend: Backend, now: float) -> None:
        waiter = next(iter(self._waiting))
        since = self._waiting.pop(waiter)
        self.wait_us += (now - since) * 1e6
        try:
            waiter.granted(backend, now - since)
        except Exception:
            # One client's failure must not end the call of the client that released.
            log.exception("a client failed when it was given a backend", pool=self.name)
            backend.abort()  # whereupon its holder is told, and leaves it

    def _refuse(self, waiter: Waiter, error: DboptError) -> None:
        if self._waiting.pop(waiter, None) is not None:
            try:
                waiter.refused(error)
            except Exception:
                log.exception("a client failed when it was refused a backend", pool=self.name)

    def _refuse_all(self) -> None:
        for waiter in list(self._waiting):
            self._refuse(waiter, ConnectError("The gateway is shutting down."))

    # psycopg_pool

    def _fetch_more(self) -> None:
        room = self.route.max_size - len(self._leased) - self._fetching
        if room > 0 and self._fetching < len(self._waiting):
            self._fetching += 1
            self._spawn(self._fetch())

    async def _fetch(self) -> None:
        backend: Backend | None = None
        try:
            backend = await self._pg.getconn(_FETCH_TIMEOUT)
        except PoolTimeout:
            pass  # Who waits is told by `tick`. Asking again makes psycopg_pool connect again.
        except PoolClosed:
            if self._closing:
                self._refuse_all()
            return
        finally:
            self._fetching -= 1
        try:
            if backend is not None:
                self._fetched(backend)
        finally:
            self._fetch_more()

    def _fetched(self, backend: Backend) -> None:
        self._leased.add(backend)
        if backend.closed:
            # It was lost while psycopg_pool had it. That one's own check would wait a second
            # and more after each, and after a restart of the server these are all.
            self._give_back(backend)
            return
        if self._last_error is not None:
            log.info("the server can be reached again", pool=self.name)
            self._last_error = None
        if not backend.greeted:
            backend.greeted = True
            self.learn(backend.parameters)
        backend.settings = self.canonical(backend.settings)
        self._warn_when_busy()
        self._offer(backend, monotonic())

    def _give_back(self, backend: Backend) -> None:
        self._leased.discard(backend)
        self._spawn(self._put(backend))

    async def _put(self, backend: Backend) -> None:
        try:
            await self._pg.putconn(backend)
        finally:
            self._fetch_more()

    def backend_lost(self, backend: Backend) -> None:
        """See backend.Owner: psycopg_pool opens another in its place."""
        if backend in self._leased:
            if backend in self._idle:
                self._idle.remove(backend)
            self._give_back(backend)

    def connect_failed(self, error: DboptError) -> None:
        """See backend.Owner. Who logs in is told at once; who has work waits its turn.

        So a server that restarts costs its clients time, and a wrong password does not.
        """
        if self._last_error is None or self._last_error.message != error.message:
            log.warning("cannot connect to the server", pool=self.name, error=str(error))
        self._last_error = error
        self.server_errors += 1
        if self._leased or (isinstance(error, ServerRefused) and error.temporary):
            return
        for waiter in [w for w in self._waiting if w.logging_in]:
            self._refuse(waiter, error)

    # Time

    def tick(self, now: float) -> None:
        """Once in a while: end waits that are too long, give back what is not used.

        It also serves and fetches anew for who waits, so that no error leaves one waiting
        while there is a backend for it.
        """
        timeout = self.route.queue_timeout
        for waiter, since in list(self._waiting.items()):
            if now - since < timeout:
                break
            self.queue_timeouts += 1
            self._refuse(waiter, self._queue_timeout())
        if self._waiting:
            self._serve(now)
            self._fetch_more()
        for backend in self._leased:
            if now >= backend._expire_at:
                backend.unfit = True
        while self._idle and now - self._idle[0].idle_since > LEASE_IDLE:
            self._give_back(self._idle.pop(0))
        if self.clients or self._leased:
            self.unused_since = now

    def _queue_timeout(self) -> DboptError:
        if self._last_error is not None and not self._leased:
            return ConnectError(self._last_error.message, hint=self._last_error.hint)
        most = self.route.max_size
        return QueueTimeout(
            f"No server connection of pool {self.name} came free within "
            f"{self.route.queue_timeout:g} s: {len(self._leased)} of {most} are in use "
            f"and {len(self._waiting)} clients wait.",
            hint="Look for long transactions, or raise pool.max_size.",
        )

    def _warn_when_busy(self) -> None:
        pool, now = self.route, monotonic()
        if len(self._leased) <= pool.warn_ratio * pool.max_size:
            return
        if now - self._warned_at >= _WARN_EVERY:
            self._warned_at = now
            log.warning(
                "pool is nearly used up", pool=self.name,
                in_use=len(self._leased), max_size=self.route.max_size,
            )  # fmt: skip

    def snapshot(self, now: float) -> PoolSnapshot:
        """How the pool is at this moment."""
        oldest = next(iter(self._waiting.values()), now)
        available = self._pg.get_stats()["pool_available"]
        size = self._pg.get_stats()["pool_size"]
        return PoolSnapshot(
            database=readable(self.database),
            user=readable(self.user),
            cl_active=sum(backend.holder is not None for backend in self._leased),
            cl_waiting=len(self._waiting),
            sv_active=len(self._leased) - len(self._idle),
            sv_idle=len(self._idle) + available,
            sv_login=max(0, size - available - len(self._leased)),
            max_size=self.route.max_size,
            maxwait=now - oldest,
            xact_count=self.transactions,
            query_count=self.statements,
            received=self.received,
            sent=self.sent,
            wait_time_us=self.wait_us,
            queue_timeouts=self.queue_timeouts,
            server_errors=self.server_errors,
        )

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
