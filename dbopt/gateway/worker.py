"""The worker: one process, one uvloop, the clients and the pools.

Started by the daemon as `python -m dbopt.gateway FD`, where FD is its end of the link.
Nothing here may stall a query: no parser, no HTTP, no statistics.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

from dbopt.clock import monotonic
from dbopt.errors import DboptError, TooManyClients
from dbopt.gateway.admission import Admission
from dbopt.gateway.arrival import Arrival
from dbopt.gateway.auth import Authenticator
from dbopt.gateway.client import Client
from dbopt.gateway.client_tls import ClientTls
from dbopt.gateway.counts import Counts, readable
from dbopt.gateway.exchange import Candidate
from dbopt.gateway.guards import Guard
from dbopt.gateway.limits import Limits
from dbopt.gateway.link import (
    Asked,
    Cancelled,
    Observed,
    Ready,
    Start,
    ToControl,
    frame,
)
from dbopt.gateway.listeners import Listeners
from dbopt.gateway.multiplexer import Pool
from dbopt.gateway.notify import SharedListener
from dbopt.gateway.openfiles import OpenFiles
from dbopt.gateway.routes import Route, check_database, resolved, route
from dbopt.gateway.userlist import Secret
from dbopt.logs import configure
from dbopt.observation import WorkerSnapshot
from dbopt.settings import Settings
from dbopt.verdict import Question
from dbopt.wire.messages import CancelRequest

log = structlog.get_logger("dbopt.gateway")

_TICK = 0.25
_UNUSED_POOL = 60.0
_IDLE_LOOK = 1.0
_PORTION = 200
"""Statements in a frame at most: each may bring 16 KiB of text, and a frame has a limit."""
_MAX_REFUSALS_SAID = 5
"""Refused logins that are logged at most, a tick."""
_MAX_LINK_BACKLOG = 16 << 20
"""Bytes unread by the control process above which observations are kept back, not queued."""


class Worker:
    """All that one worker has: its clients by process id, its pools, its counts."""

    def __init__(self, start: Start, link: asyncio.StreamWriter) -> None:
        self.number = start.number
        self.settings = start.settings
        self.limits = Limits(start.settings)
        self.files = OpenFiles(start.settings)
        self.admission = Admission(start.settings, start.mock_key)
        self.listeners = Listeners(self.admission, self.limits)
        trace = start.settings.trace
        self.counts = Counts(
            trace.slow, trace.parameters, trace.max_fingerprints, trace.max_slow,
            n_plus_one=trace.n_plus_one, spans=_wants_spans(start.settings),
        )  # fmt: skip
        self.guard = Guard(start.settings, self._ask)
        self.counts.watch_with(self.guard.watch)
        self.login_timeout = start.settings.gateway.login_timeout
        self.draining = False
        self._link = link
        self._clients: dict[int, Client] = {}
        self._connections: set[Client] = set()
        self._pools: dict[tuple[str, str], Pool] = {}
        self._secrets: dict[tuple[str, str], Secret | None] = {}
        self._next = 0
        self._login_failures = self._protocol_errors = self._refusals_said = 0
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    # client.Gate

    def admit(self, client: Client) -> tuple[int, bytes]:
        """See client.Gate. The worker's number is in the process id, so that each is unique."""
        limit, what = self.settings.gateway.max_clients, "gateway.max_clients"
        if self.files.room < limit:
            limit, what = self.files.room, "its limit of open files"
        if len(self._clients) >= limit:
            raise TooManyClients(
                f"The gateway already has {limit} clients.",
                hint=f"Raise {what}, or close connections that are not used.",
            )
        self.limits.admit_client(client.database, client.user)
        while True:
            self._next = (self._next + 1) & 0xFFFFFF
            pid = (self.number & 0x3F) << 24 | self._next
            if self._next and pid not in self._clients:
                break
        self._clients[pid] = client
        return pid, secrets.token_bytes(4)

    def pool(self, database: str, user: str) -> Pool:
        """See client.Gate. A reload may have taken the database away while its pool lives."""
        check_database(self.settings, database)
        found = self._pools.get((database, user))
        secret = self.auth.server_secret(database, user)
        if found is None:
            to = route(self.settings, database, user)
            found = self._pools[database, user] = self._new_pool(to)
            self._secrets[database, user] = secret
            self._spawn(found.open())
        elif self._secrets[database, user] != secret:
            # The password is another by now: with what was proved before, nothing opens.
            found.targets = self.admission.servers(route(self.settings, database, user))
            self._secrets[database, user] = secret
        return found

    def _new_pool(self, to: Route) -> Pool:
        return Pool(to, self.admission.servers(to), self.limits)

    def listener(self, database: str, user: str, encoding: str = "UTF8") -> SharedListener:
        """The connection that listens for a database's clients of that client_encoding."""
        return self.listeners.get(database, user, encoding)

    def adds_host(self, database: str, user: str) -> bool:
        """See client.Gate."""
        return bool(resolved(self.settings, "application_name_add_host", database, user))

    @property
    def auth(self) -> Authenticator:
        """See arrival.Door."""
        return self.admission.auth

    @property
    def tls(self) -> ClientTls | None:
        """See arrival.Door."""
        return self.admission.tls

    def crowded(self) -> bool:
        """See arrival.Door."""
        return len(self._connections) > self.files.most

    def look_up(self, database: str, user: str) -> asyncio.Task[Candidate]:
        """See arrival.Door."""
        return self.admission.look_up(database, user)

    def cancel(self, request: CancelRequest) -> asyncio.Task[None] | None:
        """See client.Gate: our client's, or another worker's."""
        if request.pid not in self._clients:
            self._tell(Cancelled(request.pid, request.secret))
        return self.cancel_own(request.pid, request.secret)

    def cancel_own(self, pid: int, secret: bytes) -> asyncio.Task[None] | None:
        """Cancel what a client of this worker runs, if it is one."""
        client = self._clients.get(pid)
        if client is None or not secrets.compare_digest(client.secret, secret):
            return None
        return client.cancel()

    def gone(self, client: Client) -> None:
        """See client.Gate."""
        self._connections.discard(client)
        if self._clients.get(client.pid) is client:
            del self._clients[client.pid]
            self.limits.leave_client(client.database, client.user)
            client.leave_pool()

    def failed_login(self, client: Arrival, why: str) -> None:
        """See arrival.Door. The log takes a few a second: anybody can fail to log in."""
        self._login_failures += 1
        self._refusals_said += 1
        if self._refusals_said <= _MAX_REFUSALS_SAID:
            log.info(
                "login refused", client=client.place, database=readable(client.database),
                user=readable(client.user), error=readable(why),
            )  # fmt: skip

    def bad_protocol(self) -> None:
        """See client.Gate."""
        self._protocol_errors += 1

    # Life

    def connect(self) -> Client:
        """A new client connection."""
        client = Client(self)
        self._connections.add(client)
        return client

    async def serve(self, listeners: list[int]) -> None:
        """Take clients on the inherited sockets."""
        loop = asyncio.get_running_loop()
        for descriptor in listeners:
            sock = socket.socket(fileno=descriptor)
            make = loop.create_unix_server if sock.family == socket.AF_UNIX else loop.create_server
            self._servers.append(await make(self.connect, sock=sock))
        self._spawn(self._ticking())
        self._spawn(self._reporting())
        self.report()  # first, so that who is told of Ready knows the worker
        self._tell(Ready(os.getpid()))

    async def _ticking(self) -> None:
        looked = monotonic()
        while True:
            await asyncio.sleep(_TICK)
            now = monotonic()
            self.tick(now)
            if now - looked >= _IDLE_LOOK:
                looked = now
                safely(self._tick_clients, now)

    def tick(self, now: float) -> None:
        """Once in a while. A failure of one part must not stop the clock of the others."""
        self._refusals_said = 0
        safely(self.admission.tick, now)
        safely(self.files.tick, len(self._connections))
        safely(self.listeners.tick, now)
        for key, pool in list(self._pools.items()):
            safely(self._tick_pool, key, pool, now)

    def _tick_pool(self, key: tuple[str, str], pool: Pool, now: float) -> None:
        pool.tick(now)
        # One that never had a backend was asked for under a name that there is not.
        if now - pool.unused_since > (_UNUSED_POOL if pool.parameters else _TICK):
            del self._pools[key], self._secrets[key]
            self._spawn(pool.close())

    def _tick_clients(self, now: float) -> None:
        """Let clients of pools with a client_idle_timeout look at how long they have been idle."""
        timeouts = {
            key: pool.route.client_idle_timeout
            for key, pool in self._pools.items()
            if pool.route.client_idle_timeout
        }
        if timeouts:
            for client in list(self._clients.values()):
                timeout = timeouts.get((client.database, client.user))
                if timeout is not None:
                    client.idle_tick(now, timeout)

    async def _reporting(self) -> None:
        while True:
            await asyncio.sleep(self.settings.trace.flush_interval)
            safely(self.report)

    def report(self) -> None:
        """Tell the control process what was seen. While that one does not read, go on counting."""
        if not self._link_is_full:
            taken = self.counts.take()
            snapshot, refusals = self.snapshot(), self.guard.take()
            for part in taken.portions(_PORTION):
                counts, slow, transactions, repeated, spans = part
                self._tell(
                    Observed(counts, slow, snapshot, refusals, transactions, repeated, spans)
                )
                refusals = []

    def snapshot(self) -> WorkerSnapshot:
        """How the worker is at this moment."""
        now = monotonic()
        return WorkerSnapshot(
            pid=os.getpid(),
            clients=len(self._clients),
            draining=self.draining,
            pools=[pool.snapshot(now) for pool in self._pools.values()],
            protocol_errors=self._protocol_errors,
            login_failures=self._login_failures,
            guard_asked=self.guard.asked,
            guard_unanswered=self.guard.unanswered,
            guard_unreadable=self.guard.unreadable,
            spans_dropped=self.counts.noted.dropped,
            errors_dropped=self.counts.noted.errors_dropped,
        )

    def reload(self, settings: Settings) -> None:
        """Take the settings that can change while it runs."""
        self.settings = settings
        configure(settings.log)
        self.admission.reload(settings)
        trace = settings.trace
        self.counts.configure(
            trace.slow, trace.parameters,
            n_plus_one=trace.n_plus_one, spans=_wants_spans(settings),
        )  # fmt: skip
        self.limits.settings = self.guard.settings = settings
        self.counts.watch_with(self.guard.watch)
        self.files.reload(settings)
        for key, pool in self._pools.items():
            safely(self._reconfigure, key, pool)
        self.listeners.reload()

    def _reconfigure(self, key: tuple[str, str], pool: Pool) -> None:
        with contextlib.suppress(DboptError):  # one that is gone serves who is in it
            to = route(self.settings, *key)
            pool.reconfigure(to, self.admission.servers(to))

    def stop_listening(self) -> None:
        """Take no new connections."""
        self.draining = True
        for server in self._servers:
            server.close()
        self._servers.clear()

    async def drain(self, deadline: float) -> None:
        """Let transactions end, tell idle clients to go; cut who is left at the deadline."""
        self.stop_listening()
        for pool in self._pools.values():
            pool.drain()
        while self._connections and monotonic() < deadline:
            for client in list(self._connections):
                client.drain()
            await asyncio.sleep(0.02)
        for client in list(self._connections):
            client.cut()
        await self.listeners.close()
        closing = (pool.close() for pool in self._pools.values())
        await asyncio.gather(*closing, return_exceptions=True)
        self.admission.close()
        self.report()

    async def outlive(self) -> None:
        """The control process is gone: serve who is here, and make room for the next gateway.

        SIGTERM drains: nobody else can tell this worker to end.
        """
        self.stop_listening()
        self.draining = False
        self._link.close()  # nobody reads it: so that the guard asks nobody
        self.guard.orphaned()
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
        while self._connections and not told.is_set():  # noqa: ASYNC110 - a look is cheap
            await asyncio.sleep(_TICK)
        await self.drain(monotonic() + self.settings.gateway.shutdown_timeout)

    def close(self) -> None:
        """End the worker's own tasks."""
        for task in self._tasks:
            task.cancel()

    @property
    def _link_is_full(self) -> bool:
        return self._link.transport.get_write_buffer_size() >= _MAX_LINK_BACKLOG

    def _tell(self, message: ToControl) -> None:
        if not (self._link.is_closing() or self._link_is_full):
            self._link.write(frame(message))

    def _ask(self, number: int, question: Question) -> bool:
        """Send one of the guard's questions; False where nobody would read it."""
        if self._link.is_closing() or self._link_is_full:
            return False
        self._link.write(frame(Asked(number, question)))
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _wants_spans(settings: Settings) -> bool:
    return settings.otel.enabled and settings.otel.spans


def safely(call: Callable[..., None], *given: Any) -> None:
    """Call it; a failure is logged, and stops nothing else."""
    try:
        call(*given)
    except Exception:
        log.exception("a part of the worker failed", part=call.__qualname__)
