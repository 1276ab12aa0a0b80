"""What the daemon collects, and what it stores: the server's views, sessions' waits, the trace.

One sidecar of a fleet reads the server's views: the leader. Each one samples sessions while its
own clients are at work, for the sake of its slow statements, and stores what it has traced.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

from dbopt.clock import Clock, monotonic
from dbopt.daemon.scheduling import Schedule
from dbopt.errors import ConnectError, DboptError, QueryFailed
from dbopt.metrics import Sample
from dbopt.pg.pool import Pool
from dbopt.pg.refusal import translated
from dbopt.pg.server import ServerInfo, read_server
from dbopt.settings import Settings
from dbopt.sql.findings import Finding
from dbopt.stats.collecting import Collecting, Round
from dbopt.stats.collectors import collectors
from dbopt.stats.collectors.pg_stat_statements import StatementsCollector
from dbopt.stats.leader import Leader
from dbopt.stats.report.coverage import unseen_events
from dbopt.stats.sampler import Sampler
from dbopt.stats.view import View, not_examined
from dbopt.store import partitions
from dbopt.store.frame import Event, Standing, Target
from dbopt.store.writer import Batch, Writer

FLUSH_EVERY = 2.0
UPKEEP_EVERY = 600.0
"""Seconds between two looks at partitions: made days ahead, dropped when they are old."""
_RETRY_EVERY = 5.0
_WAIT_EVERY = 60.0
"""For what must wait: each attempt holds up writers for partitions.LOCK_TIMEOUT."""

Traced = Callable[[str, datetime], Batch]
"""What was traced since the last call, of the server of that address, until a time."""


class Collection:
    """The collecting part of a daemon. `pool` leads to the server, `store` to the store.

    `busy` tells whether own clients are at work now. It is a metrics.Source.
    """

    def __init__(
        self,
        settings: Settings,
        pool: Pool,
        store: Pool,
        busy: Callable[[], bool],
        traced: Traced,
        clock: Clock = monotonic,
    ) -> None:
        readers = collectors()
        self.leader = Leader(settings.server.dsn, self._led)
        self.collecting = Collecting(
            pool, settings.stats, readers, self._resume, name=settings.server.name
        )
        self.writer = Writer(
            store, settings.store.spool_dir, settings.store.spool_size,
            on_skip=self.collecting.overtaken,
        )  # fmt: skip
        (statements,) = (one for one in readers if isinstance(one, StatementsCollector))
        self.sampler = Sampler(pool, statements.fingerprint_of)
        self.server: ServerInfo | None = None
        self._settings = settings
        self._pool = pool
        self._store = store
        self._busy = busy
        self._traced = traced
        self._schedule: Schedule | None = None
        self._unready = "Nothing has been stored yet."
        self._upkeep_error = ""
        self._upkeep_due = 0.0
        self._said: set[tuple[str, str]] = set()
        self._said_on = date.min
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    # Life

    def start(self, schedule: Schedule) -> None:
        """Begin: the leader's lock is asked for, and the jobs are scheduled."""
        self._schedule = schedule
        stats = self._settings.stats
        schedule.every("store-upkeep", _RETRY_EVERY, self.upkeep, now=True)
        schedule.every("trace", stats.interval, self.trace)
        schedule.every("store", FLUSH_EVERY, self.flush)
        if stats.enabled:
            schedule.every("collect", stats.interval, self.collect)
            if stats.sample_interval:
                schedule.every("sample", stats.sample_interval, self.sample)
            self._task = asyncio.create_task(self.leader.run(), name="dbopt-leader")

    async def stop(self) -> None:
        """Store what was traced and collected so far, and give the lock back."""
        with contextlib.suppress(DboptError):
            await self.trace()
        await self.writer.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def _led(self, leading: bool) -> None:
        # Another has collected meanwhile, or will: its history is gone on with, not ours.
        self.collecting.forget()
        if leading and self._schedule is not None:
            self._schedule.soon("collect")

    # Jobs

    async def collect(self) -> bool:
        """Read the views that are due; False: another sidecar does. Raises DboptError."""
        if not self.leader.leading:
            return False
        done = Round()
        try:
            await self.collecting.round(done)
        finally:
            done.events.extend(self._unseen(datetime.now(UTC)))
            self.writer.put(Batch(tuple(done.frames), done.texts, events=tuple(done.events)))
        return True

    def _unseen(self, now: datetime) -> list[Event]:
        """What is not examined, when that is news, and once a day: reports tell it."""
        findings, server = self._findings(), self.collecting.server
        said = {(finding.rule, finding.message) for finding in findings}
        if server is None or (said == self._said and now.date() == self._said_on):
            return []
        self._said, self._said_on = said, now.date()
        return unseen_events(findings, Target(server.address, server.database), now)

    def _findings(self) -> list[Finding]:
        found, server = self.collecting.findings, self.collecting.server
        if self.sampler.hidden and server is not None:
            message = "Other roles' sessions are hidden: they are in no average of active sessions."
            remedy = f"GRANT pg_monitor TO {server.quoted_role};"
            found.append(not_examined("waits", server, message, remedy))
        return found

    async def sample(self) -> bool:
        """Sample sessions, if this sidecar collects, or its own clients are at work: else False."""
        wanted = self.leader.leading or self._busy()
        if wanted:
            await self.sampler.sample()
        return wanted

    async def trace(self) -> None:
        """Hand over what was traced and sampled. Raises DboptError while no server has answered."""
        address = await self.address()
        now = datetime.now(UTC)
        waits, texts = self.sampler.seen.take(address, now), self.sampler.take_texts()
        self.writer.put(self._traced(address, now))
        if self.leader.leading:
            self.writer.put(Batch(tuple(waits), texts))

    async def flush(self) -> None:
        """Store what is held. The writer says why the store takes nothing."""
        await self.writer.flush()

    async def upkeep(self) -> None:
        """Make and drop partitions, when it is time. Raises DboptError, also for what must wait."""
        if self._clock() < self._upkeep_due:
            return
        try:
            with translated("Looking after the store", store=True):
                async with self._store.connection() as connection:
                    kept = await partitions.keep(
                        connection, datetime.now(UTC), self._settings.stats.retention_days
                    )
        except DboptError as error:
            self._unready = str(error)
            raise
        # What must wait, for a lock or a grant, keeps nothing from being stored.
        self._unready = ""
        self._upkeep_error = kept.error if kept is not None else ""
        if self._upkeep_error:
            self._upkeep_due = self._clock() + _WAIT_EVERY
            raise QueryFailed(self._upkeep_error)
        self._upkeep_due = self._clock() + UPKEEP_EVERY

    async def address(self) -> str:
        """What the server calls itself, host:port. Raises DboptError until it has answered.

        After a failover it may be another; who collects is the first to know.
        """
        self.server = self.collecting.server or self.server
        if self.server is None:
            with translated("Reading the server's version and settings"):
                async with self._pool.connection() as connection:
                    self.server = await read_server(connection, self._settings.server.name)
        return self.server.address

    async def _resume(self, target: Target, view: View) -> Standing | None:
        """Where the store's history ends. Raises DboptError while the store is away."""
        if error := self.writer.error or self._unready:
            raise ConnectError(error)  # the jobs find out when it is back
        return await self.writer.resume(target, view.name)

    # What it tells

    @property
    def error(self) -> str:
        """Why the store takes nothing, or is not looked after; "" while all is well."""
        return self.writer.error or self._unready or self._upkeep_error

    def to_dict(self) -> dict[str, Any]:
        """For JSON: who collects, the collectors, and average active sessions by kind of wait."""
        return {
            "leading": self.leader.leading,
            "reason": self.leader.reason,
            "collectors": self.collecting.to_dict(),
            "active_sessions": self.sampler.seen.load(),
            "not_examined": [finding.to_dict() for finding in self._findings()],
        }

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        yield from self.writer.samples()
        yield from self.collecting.samples()
        yield from self.sampler.samples()
