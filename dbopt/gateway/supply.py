"""Supply: where a pool's backends come from and where they go, as psycopg_pool manages them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from psycopg_pool import PoolClosed, PoolTimeout

from dbopt.clock import monotonic
from dbopt.errors import DboptError
from dbopt.gateway.backend import Backend
from dbopt.gateway.cleaning import clean
from dbopt.gateway.defaults import Defaults
from dbopt.gateway.limits import Limits
from dbopt.gateway.routes import Route
from dbopt.gateway.serverpool import ServerPool
from dbopt.gateway.target import Targets

log = structlog.get_logger("dbopt.gateway")

_FETCH_TIMEOUT = 2.0
_CLOSE_TIMEOUT = 1.0
_CHECK_AFTER = 30.0
"""Seconds of rest after which a connection is asked whether it is still there: firewalls and
NAT forget it without a word, and its next client would wait for minutes. PgBouncer's
server_check_delay. One that the server has ended says so itself."""
_CHECK_TIMEOUT = 2.0
_WARN_EVERY = 60.0


class Supply(Defaults):
    """The backends of one (database, user): leased from psycopg_pool, and given back.

    `route` and `targets` act on what comes next; see `reconfigure`.
    """

    __slots__ = (
        "_cleaning",
        "_closed",
        "_epoch",
        "_fetching",
        "_last_error",
        "_leased",
        "_owed",
        "_pg",
        "_tasks",
        "_warned_at",
        "closing",
        "database",
        "idle",
        "limits",
        "name",
        "route",
        "server_errors",
        "targets",
        "user",
        "waiting",
    )  # fmt: skip

    def __init__(self, route: Route, targets: Targets, limits: Limits | None) -> None:
        super().__init__()
        self.route = route
        self.targets = targets
        self.limits = limits
        self.database = route.database
        self.user = route.user
        self.name = f"{route.database}/{route.user}"
        self.server_errors = 0
        self.waiting: dict[Any, float] = {}
        self.idle: list[Backend] = []
        self._leased: set[Backend] = set()
        self._fetching = self._cleaning = self._epoch = 0
        self.closing = self._closed = False
        self._last_error: DboptError | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._owed: Callable[[], None] | None = None
        self._warned_at = -_WARN_EVERY
        self._pg = self._make_pool()
        if limits is not None:
            limits.pools.add(self)

    def _make_pool(self) -> ServerPool:
        route = self.route
        return ServerPool(
            self._room,
            self._counted,
            kwargs=self._arguments,
            min_size=route.min_size,
            max_size=self._largest,
            name=self.name,
            max_idle=route.max_idle,
            max_lifetime=route.max_lifetime,
            check=_check,
        )

    @property
    def _largest(self) -> int:
        return self.route.max_size + self.route.reserve_size

    def _arguments(self) -> dict[str, Any]:
        """What Backend.connect is called with, each time."""
        return {
            "targets": self.targets,
            "owner": self,
            "statements": self.route.prepared_statements,
            "timeout": self.route.connect_timeout,
            "connect_query": self.route.connect_query,
            "epoch": self._epoch,
        }

    def _room(self) -> bool:
        return self.limits is None or self.limits.room_for_backend(self.database, self.user)

    def _counted(self, change: int) -> None:
        if self.limits is not None:
            self.limits.count_backends(self.database, self.user, change)

    async def open(self) -> None:
        """Begin to connect."""
        await self._pg.open()

    async def _close_all(self) -> None:
        self._closed = True
        if self.limits is not None:
            self.limits.pools.discard(self)
        await self._pg.close(timeout=_CLOSE_TIMEOUT)
        if self._tasks:  # a cancel that is on its way is to arrive
            await asyncio.wait(self._tasks, timeout=_CLOSE_TIMEOUT)
        for backend in list(self._leased):
            self._leased.discard(backend)
            await backend.close()

    def reconfigure(self, route: Route, targets: Targets) -> None:
        """Go on by another route. Connections stay, unless they lead elsewhere by now.

        Those that lead elsewhere are replaced: idle ones now, others when they come free. A
        new password alone is no reason to.
        """
        before, self.route = self.route, route
        old, self.targets = self.targets, targets
        self._pg.max_idle, self._pg.max_lifetime = route.max_idle, route.max_lifetime
        if _sizes(before) != _sizes(route):
            self._spawn(self._fit(route))
            for backend in self._leased:
                backend.unfit = True  # there may be too many by now
        if old.with_secret(None) != targets.with_secret(None) or (
            before.connect_query != route.connect_query
        ):
            self._replace_all()

    async def _fit(self, route: Route) -> None:
        """Take the route's sizes. psycopg_pool itself would close one unused each max_idle."""
        await self._pg.fit(route.min_size, route.max_size + route.reserve_size)
        while self._pg.size > route.max_size and self._pg.idle_since() is not None:
            self._spawn(self._pg.pop_idle().close())

    def _replace_all(self) -> None:
        log.info("the pool leads elsewhere: its connections are replaced", pool=self.name)
        self._epoch += 1  # what is being opened now leads there too
        for backend in self._leased:
            backend._expire_at = 0.0  # psycopg_pool's: it opens another in its place
            backend.unfit = True
        self._spawn(self._pg.drain())
        self._give_back_idle(len(self.idle))

    # Fetching

    def _fetch_more(self) -> None:
        """Fetch one more, if one waits for it, there may be one, and there is one to be had."""
        fetching, leased = self._fetching, len(self._leased)
        if fetching >= len(self.waiting):
            return
        if leased + fetching >= self.route.max_size and not (
            leased + fetching < self._largest and self._reserve_due()
        ):
            return
        if self._pg.size - leased <= fetching and not self._can_grow():
            return  # `tick` tries again
        self._fetching += 1
        self._spawn(self._fetch())

    def _can_grow(self) -> bool:
        """Whether psycopg_pool may open one more, maybe in place of another pool's idle one."""
        if self._pg.can_grow() or self.limits is None or self._pg.size >= self._largest:
            return self._pg.can_grow()
        return self.limits.make_room(self.database, self.user)

    async def _fetch(self) -> None:
        backend: Backend | None = None
        try:
            backend = await self._pg.getconn(_FETCH_TIMEOUT)
        except PoolTimeout:
            pass  # Who waits is told by `tick`. Asking again makes psycopg_pool connect again.
        except PoolClosed:
            if self._closed:
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
        if backend.epoch != self._epoch:
            backend.retire()  # it was on its way while the pool began to lead elsewhere
        if backend.closed or backend.epoch != self._epoch:
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

    # Giving back

    def _give_back(self, backend: Backend) -> None:
        """Let psycopg_pool have it; or let it go, if there are more than there should be."""
        self._leased.discard(backend)
        most = self._largest if self.waiting else self.route.max_size
        if self._pg.size > most and not self._closed:
            self._pg.forget(backend)
            self._spawn(backend.close())
        else:
            self._spawn(self._put(backend))

    def _give_back_idle(self, count: int) -> None:
        """Give back those that are unused for longest."""
        gone, self.idle[:] = self.idle[:count], self.idle[count:]
        for backend in gone:
            self._give_back(backend)

    async def _put(self, backend: Backend) -> None:
        try:
            await self._pg.putconn(backend)
        finally:
            self._fetch_more()

    async def _clean(self, backend: Backend) -> None:
        self._cleaning += 1
        try:
            await clean(backend, backend.reset_sql)
            backend.reset_sql = b""
            backend.settings = self.canonical(backend.settings)
        except DboptError as error:
            log.warning("reset failed: connection closed", pool=self.name, error=str(error))
        finally:
            self._cleaning -= 1
        if backend in self._leased:
            self._offer(backend, monotonic())

    def idle_since(self) -> float | None:
        """See limits.Rival."""
        if self.waiting:
            return None
        found = [self._pg.idle_since(), *(backend.idle_since for backend in self.idle[:1])]
        return min((since for since in found if since is not None), default=None)

    def close_idle(self) -> None:
        """See limits.Rival: close the backend that is unused for longest."""
        if self._pg.idle_since() is not None:
            backend = self._pg.pop_idle()
        else:
            backend = self.idle.pop(0)
            self._leased.discard(backend)
            self._pg.forget(backend)
        self._spawn(backend.close())

    def in_use(self) -> int:
        """See limits.Rival."""
        return len(self._leased) - len(self.idle)

    def surrender(self, then: Callable[[], None]) -> None:
        """See limits.Rival."""
        self._owed = then
        for backend in self._leased:
            backend.unfit = True  # each is looked at when it comes free

    def _pay(self, backend: Backend) -> None:
        then, self._owed = self._owed, None
        self._leased.discard(backend)
        self._pg.forget(backend)
        self._spawn(backend.close())
        if then is not None:
            then()

    # backend.Owner

    def backend_lost(self, backend: Backend) -> None:
        """See backend.Owner: psycopg_pool opens another in its place."""
        if backend in self._leased:
            if backend in self.idle:
                self.idle.remove(backend)
            self._give_back(backend)

    def connect_failed(self, error: DboptError) -> None:
        """See backend.Owner."""
        if self._last_error is None or self._last_error.message != error.message:
            log.warning("cannot connect to the server", pool=self.name, error=str(error))
        self._last_error = error
        self.server_errors += 1

    def _warn_when_busy(self) -> None:
        route, now = self.route, monotonic()
        if len(self._leased) <= route.warn_ratio * route.max_size:
            return
        if now - self._warned_at >= _WARN_EVERY:
            self._warned_at = now
            log.warning(
                "pool is nearly used up", pool=self.name,
                in_use=len(self._leased), max_size=route.max_size,
            )  # fmt: skip

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    # The pool's side

    def _reserve_due(self) -> bool:
        """Whether one has waited long enough for the reserve to be used."""
        raise NotImplementedError

    def _offer(self, backend: Backend, now: float) -> None:
        """A backend is there that nobody has."""
        raise NotImplementedError

    def _refuse_all(self) -> None:
        """There will be none."""
        raise NotImplementedError


def _sizes(route: Route) -> tuple[int, int]:
    return route.min_size, route.max_size + route.reserve_size


async def _check(backend: Backend) -> None:
    """Raises DboptError where a connection that rested for long does not answer."""
    rested = monotonic() - max(backend.idle_since, backend._created_at)
    if rested > _CHECK_AFTER and not backend.closed:
        await clean(backend, b"", _CHECK_TIMEOUT)
