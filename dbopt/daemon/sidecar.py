"""One sidecar: the composition root. What the parts need of each other is bound here.

Start: sockets, workers, HTTP, jobs; then systemd is told. SIGHUP reloads, SIGTERM and SIGINT
drain. A database that cannot be reached is no reason not to start: clients are told, and
/readyz says so.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from dbopt import __version__
from dbopt.check.job import CheckJob
from dbopt.clock import monotonic
from dbopt.configfile import merged
from dbopt.daemon.collection import Collection
from dbopt.daemon.exports import Exports
from dbopt.daemon.scheduling import Schedule
from dbopt.daemon.tracing import Tracing
from dbopt.errors import DboptError
from dbopt.gateway import userlist
from dbopt.gateway.client_tls import client_tls
from dbopt.gateway.link import Observed
from dbopt.gateway.listener import socket_path
from dbopt.gateway.routes import check_routes, own_dsn, route
from dbopt.gateway.supervisor import Supervisor
from dbopt.guard.control import GuardControl
from dbopt.logs import configure
from dbopt.metrics import Metrics
from dbopt.pg.connect import connect_async
from dbopt.pg.explain import explain, require_safe
from dbopt.pg.plan import Plan
from dbopt.pg.pool import control_pool
from dbopt.pg.refusal import translated
from dbopt.sdnotify import notify
from dbopt.settings import Settings
from dbopt.sql.analyze import Analyzer
from dbopt.stats.report.daily import daily_report, due
from dbopt.stats.samples import Samples
from dbopt.store.frame import Target
from dbopt.trace.jobs import Jobs
from dbopt.trace.keeping import GRACE
from dbopt.trace.workers import Workers
from dbopt.verdict import Question, Verdict
from dbopt.web.app import create_app
from dbopt.web.guard import is_loopback
from dbopt.web.server import HttpServer

log = structlog.get_logger("dbopt.daemon")

_HAND_OVER_EVERY = 2.0
_SETTLE_EVERY = 1.0
_QUARANTINE_EVERY = 1.0
_LOG_EVERY = 2.0
_PROBE_TIMEOUT = 2.0
_POOL_TIMEOUT = 0.3
"""Seconds that /readyz waits for the pool; who probes us waits for a second, as a rule."""


class Daemon:
    """One sidecar. `run` lives until it is told to stop. It is the web's State."""

    version: str = __version__

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self.settings = settings
        self._started = monotonic()
        self._listening = False
        self._reread = reread
        self._stop = asyncio.Event()
        self.analyzer = self._analyzer()
        self.metrics = Metrics(__version__)
        self.jobs = Jobs()
        self.supervisor = Supervisor(settings, self)
        silent = max(15.0, 3 * settings.trace.flush_interval)
        self.workers = Workers(lambda: self.supervisor.restarts, stale_after=silent)
        self.trace = Tracing(
            settings, self.analyzer, self._explain, self._target, self.workers, self.metrics
        )
        self.recorder, self.slow = self.trace.recorder, self.trace.slow
        self.plans, self.transactions = self.trace.plans, self.trace.transactions
        self.guard = GuardControl(
            settings, self._analyzer(), text_of=lambda f: self.recorder.book.known(f).text,
            cost=self._cost, forget=self.supervisor.forget,
        )  # fmt: skip
        for source in (self.jobs, self.workers, self.guard):
            self.metrics.add(source)
        http = settings.http
        self.http = HttpServer(create_app(self, http.host), http.host, http.port)
        connect_timeout = settings.server.connect_timeout
        self._pool = control_pool(
            settings.server.dsn, settings.stats, connect_timeout=connect_timeout
        )
        self._store = (
            control_pool(settings.store.dsn, settings.stats, connect_timeout=connect_timeout)
            if settings.store.dsn
            else self._pool
        )
        self.collection = Collection(
            settings, self._pool, self._store, self._is_busy, self.trace.counted
        )
        self.metrics.add(self.collection)
        self.exports = Exports(
            settings, self.metrics, self._analyzer().analyze, self.recorder, self.workers,
            self.collection,
        )  # fmt: skip
        self.checks = CheckJob(
            settings.server.dsn, settings.check, connect_timeout=connect_timeout,
            statement_timeout=settings.stats.statement_timeout,
        )  # fmt: skip
        self.metrics.add(self.checks)
        self._schedule = Schedule(self.jobs)
        self._tasks: list[asyncio.Task[None]] = []

    # supervisor.Observer

    def observed(self, worker: int, message: Observed) -> None:
        """A worker reported what it counted."""
        self.trace.observed(message.counts, message.slow, message.transactions, message.repeated)
        slow = [one for one in message.slow if self.slow.is_slow(one)]
        self.exports.observed(slow, message.spans)
        self.workers.observed(worker, message.snapshot)
        self.guard.observed(message.counts)
        self.guard.refused(message.refusals)

    async def asked(self, worker: int, question: Question) -> Verdict:
        """A worker asks the guard."""
        return await self.guard.asked(question)

    # Life

    async def run(self, ready: Callable[[Daemon], None] = lambda _: None) -> None:
        """Start, tell `ready`, and live until SIGTERM, SIGINT or `stop`.

        Raises ConfigError (an address is taken, a file cannot be read) or WorkerDied.
        """
        self._watch_signals()
        _check_gateway(self.settings)
        try:
            await self._start()
            ready(self)
            notify(f"READY=1\nSTATUS=Listening on {self.gateway_address}")
            await self._stop.wait()
        finally:
            notify("STOPPING=1")
            await self._end()

    async def _start(self) -> None:
        self.supervisor.listen()
        self.http.listen()
        await self.supervisor.start()
        await self._pool.open()
        if self._store is not self._pool:
            await self._store.open()
        await self.trace.start()
        self.exports.start()
        self._tasks.append(asyncio.create_task(self.guard.observing()))
        self._begin_jobs()
        await self.http.start()
        # What is there now stays: to look through it again and again would hold questions up.
        gc.collect()
        gc.freeze()
        host, port = self.http.address
        self._listening = True
        log.info("listening", gateway=self.gateway_address, http=f"{host}:{port}")
        if not is_loopback(host):
            log.warning(
                "HTTP is open to the network",
                http=f"{host}:{port}",
                hint="It asks for no password, and shows statements, users and databases. Set "
                "http.host to 127.0.0.1, or let a firewall or a proxy decide who may ask.",
            )

    def _begin_jobs(self) -> None:
        settings, every = self.settings, self._schedule.every
        self.collection.start(self._schedule)
        every("settle", _SETTLE_EVERY, self._settle)
        every("hand-over", _HAND_OVER_EVERY, self._hand_over)
        if settings.trace.auto_explain_log:
            every("auto-explain", _LOG_EVERY, self._follow_log)
        if settings.check.interval:
            every("check", settings.check.interval, self.checks.run_once, now=True)
        if at := due(settings.report):
            self._schedule.daily("report", *at, settings.report.timezone, self._report)
        # What is in quarantine is so after a restart too.
        every("quarantine", _QUARANTINE_EVERY, self._look_at_quarantine, now=True)
        self._schedule.start()

    async def _end(self) -> None:
        self._schedule.stop()
        await self.supervisor.drain()
        with contextlib.suppress(DboptError):
            await self._hand_over(grace=0.0)
        await self.trace.stop()
        await self.collection.stop()
        await self.exports.stop()
        self.guard.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.http.stop()
        for pool in {self._pool, self._store}:
            await pool.close(timeout=2.0)
        if self._listening:
            log.info("stopped")

    def _watch_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.stop)
        loop.add_signal_handler(signal.SIGHUP, self.reload)

    def stop(self) -> None:
        """Drain and end; at once when asked a second time."""
        if self._stop.is_set():
            raise SystemExit(130)
        log.info("draining")
        self._stop.set()

    def reload(self) -> None:
        """Take in what may change while it runs; a wrong configuration changes nothing."""
        try:
            settings, ignored = merged(self.settings, self._reread())
            _check_gateway(settings)
        except DboptError as error:
            log.error("not reloaded", error=error.message, hint=error.hint)  # noqa: TRY400
            return
        self.settings = settings
        configure(settings.log)
        self.supervisor.reload(settings)
        self.analyzer = self._analyzer()
        self.guard.reload(settings, self._analyzer())
        self.trace.reload(settings, self.analyzer)
        self.checks.limits = settings.check
        log.info("reloaded", needs_restart=ignored)

    # Jobs

    async def _settle(self) -> None:
        self.trace.settle(self.activity)

    async def _hand_over(self, grace: float = GRACE) -> None:
        """Slow statements, plans and their changes, to the store."""
        address = await self.collection.address()
        self.collection.writer.put(self.trace.due(address, grace))
        if not self.collection.error:
            await self.trace.remember(self._store, self._targets())

    async def _report(self) -> None:
        """Yesterday's report, by the sidecar that collects: of a fleet one is enough."""
        server = self.collection.server
        if server is None or not self.collection.leader.leading:
            return
        with translated("Making the daily report", store=True):
            async with self._store.connection() as store:
                await daily_report(
                    store, self.settings.report, datetime.now(UTC), server.database, server.address
                )

    async def _follow_log(self) -> None:
        await self.trace.follow_log(self._pool)

    async def _look_at_quarantine(self) -> None:
        if self.guard.active:
            with translated("Reading the quarantine"):
                async with self._store.connection() as connection:
                    await self.guard.look(connection)

    async def _cost(self, database: str, user: str, sql: str) -> float:
        return (await self._explain(database, user, sql)).total_cost

    def _analyzer(self) -> Analyzer:
        """One that has judged nothing yet, by the present settings."""
        settings = self.settings
        limit, most = settings.sql.complexity_limit, settings.trace.max_fingerprints
        return Analyzer(limit, most, weights=settings.complexity)

    async def _explain(self, database: str, user: str, sql: str) -> Plan:
        settings = self.settings
        dsn, timeout = own_dsn(settings, database), settings.server.connect_timeout
        async with await connect_async(dsn, timeout=timeout) as connection:
            if not settings.server.force_user:  # else it ran with our own role's rights
                await require_safe(connection, route(settings, database, user).conninfo["user"])
            return await explain(connection, sql)

    def _is_busy(self) -> bool:
        """Whether any client's statement runs now."""
        return any(pool.sv_active for pool in self.workers.pools())

    def _target(self, database: str) -> Target:
        server = self.collection.server
        return Target(server.address if server is not None else "", database)

    def _targets(self) -> list[Target]:
        """The databases whose statements may pass here."""
        server = self.collection.server
        if server is None:
            return []
        names = {server.database, *self.settings.databases} - {"*"}
        return [Target(server.address, name) for name in sorted(names)]

    # web.State

    @property
    def activity(self) -> Samples:
        """What sessions were seen to wait for."""
        return self.collection.sampler.seen

    @property
    def gateway(self) -> tuple[str, int]:
        """Host and port that clients connect to; ("", 0) without TCP."""
        return self.supervisor.address

    @property
    def uptime(self) -> float:
        """Seconds since the start."""
        return monotonic() - self._started

    @property
    def restarts(self) -> int:
        """How often a worker was started again."""
        return self.supervisor.restarts

    def store(self) -> dict[str, Any]:
        """Whether the store takes what is collected, and why not."""
        reason = self.collection.error
        return {"ready": not reason, "reason": reason}

    async def unready(self) -> str:
        """Why no statement can be served now; "" where one can.

        The server is asked: a pool's idle connections may have died unnoticed.
        """
        if not self.workers.live():
            return "No gateway worker has reported."
        try:
            with translated("Looking whether the server answers"):
                async with self._pool.connection(timeout=_POOL_TIMEOUT) as connection:
                    await connection.execute("SELECT 1")
        except DboptError:
            return await self._unreachable()
        return ""

    async def _unreachable(self) -> str:
        """What a connection of its own says: the pool, after an outage, tries seldom."""
        try:
            async with await connect_async(self.settings.server.dsn, timeout=_PROBE_TIMEOUT):
                return ""
        except DboptError as error:
            return str(error)

    @property
    def gateway_address(self) -> str:
        """host:port, or the unix socket where there is no TCP."""
        host, port = self.supervisor.address
        gateway = self.settings.gateway
        return f"{host}:{port}" if host else str(socket_path(gateway.unix_socket_dir, gateway.port))


def _check_gateway(settings: Settings) -> None:
    """Raise ConfigError for a file or a database that no worker could use."""
    if settings.gateway.userlist:
        userlist.load(settings.gateway.userlist)
    client_tls(settings.gateway)
    check_routes(settings)


async def serve(
    settings: Settings,
    reread: Callable[[], Settings],
    ready: Callable[[Daemon], None] = lambda _: None,
) -> None:
    """Run a daemon with these settings; `reread` gives them anew on SIGHUP."""
    configure(settings.log)
    await Daemon(settings, reread).run(ready)
