"""The collecting: each round reads the views that are due, and makes frames of what is new.

A collector that takes more than its share of the time (stats.budget), twice in a row, is run less
often, and says so. One that fails is left out of the round, and is news when its failure is.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import structlog

from dbopt.clock import Clock, monotonic
from dbopt.errors import DboptError, QueryFailed
from dbopt.metrics import Sample
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.refusal import translated
from dbopt.pg.server import ServerInfo, read_server
from dbopt.settings import Stats
from dbopt.sql.findings import Finding
from dbopt.stats.differ import Differ
from dbopt.stats.news import news
from dbopt.stats.view import Collected, Collector, View, not_examined
from dbopt.store.frame import Event, Frame, Standing, Target

log = structlog.get_logger("dbopt.stats")

_EARLY = 0.5
"""Seconds by which a view may be looked at before its time: jobs have a jitter."""
_AGAIN = 600.0
"""Seconds between two times that a view's history is asked for because of frames not taken."""
_BEHIND = 5.0
"""Seconds by which a server's clock may be behind the history without a word about it."""


class Connections(Protocol):
    """Where connections come from: dbopt.pg.pool.Pool is one."""

    def connection(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """Lend a connection for a block."""
        ...


Resume = Callable[[Target, View], Awaitable[Standing | None]]
"""Where the store's history of a view ends; None where there is none.

It raises DboptError while that cannot be told.
"""


@dataclass(frozen=True, slots=True)
class Round:
    """What one round gave: frames, events, and statements' redacted texts by fingerprint."""

    frames: list[Frame] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    texts: dict[int, str] = field(default_factory=dict)


@dataclass(slots=True)
class Pace:
    """How often a view is looked at. Times are monotonic seconds, `cost` those of all looks.

    What counts is the shorter of the last two looks: the first of all reads every text, and a busy
    machine makes one look long, now and then.
    """

    every: float
    due: float = 0.0
    runs: int = 0
    failures: int = 0
    cost: float = 0.0
    last: float = 0.0
    slowed: bool = False

    def ran(self, now: float, took: float, budget: float) -> bool:
        """Note a look that ended `now`; tells whether it is slower, or faster, from now on."""
        self.runs += 1
        self.cost += took
        usual, self.last = min(took, self.last), took
        wanted = max(self.every, usual / budget)
        self.due = now - took + wanted
        before, self.slowed = self.slowed, wanted > 1.5 * self.every
        return before != self.slowed


class Collecting:
    """Reads one server's views. `latest` has what each said last, `findings` what was not seen.

    `resume` tells where the store's history ends, so that a restart loses nothing. `name` is
    server.name.
    """

    def __init__(
        self,
        server: Connections,
        settings: Stats,
        readers: Sequence[Collector],
        resume: Resume,
        clock: Clock = monotonic,
        *,
        name: str = "",
    ) -> None:
        self.latest: dict[str, Collected] = {}
        self.server: ServerInfo | None = None
        self._connections = server
        self._settings = settings
        self._readers = readers
        self._resume = resume
        self._clock = clock
        self._name = name
        self._differs: dict[str, Differ] = {}
        self._asked: dict[str, float] = {}
        self._paces = {
            reader.view.name: Pace(max(reader.view.every, settings.interval)) for reader in readers
        }

    def forget(self) -> None:
        """Another has collected meanwhile, or will: begin anew, where the store's history ends."""
        self._differs.clear()
        self.latest.clear()
        for pace in self._paces.values():
            pace.due = 0.0

    def overtaken(self, target: Target, name: str) -> None:
        """The store has not taken a view's frame: another told of its time, or of a part of it.

        So what is next is compared with where the history ends, and the rest is not lost.
        """
        differ, now = self._differs.get(name), self._clock()
        if differ is None or differ.target != target:
            return
        if now - self._asked.get(name, -math.inf) >= _AGAIN:
            self._asked[name] = now
            del self._differs[name]

    @property
    def findings(self) -> list[Finding]:
        """What was not examined, with the remedies, each once."""
        found = {
            (finding.rule, finding.message): finding
            for seen in self.latest.values()
            for finding in seen.findings
        }
        return list(found.values())

    async def round(self, done: Round) -> None:
        """Look at what is due and add to `done`, where it stays if the server is lost meanwhile.

        Raises DboptError when the server cannot be asked.
        """
        with translated("Reading the statistics"):
            async with self._connections.connection() as conn:
                server = await read_server(conn, self._name)
                done.events.extend(self._restarted(server))
                self.server = server
                for reader in self._readers:
                    if self._clock() + _EARLY >= self._paces[reader.view.name].due:
                        await self._look(reader, conn, server, done)

    def _restarted(self, server: ServerInfo) -> Iterator[Event]:
        before = self.server
        if before is not None and server.started_at > before.now:
            yield Event(
                server.started_at, Target(server.address), "server-restart", server.address,
                f"PostgreSQL {server.version} was started.",
            )  # fmt: skip

    async def _look(
        self, reader: Collector, conn: AsyncConnection, server: ServerInfo, done: Round
    ) -> None:
        view, pace = reader.view, self._paces[reader.view.name]
        began = self._clock()
        try:
            with translated(f"Reading {view.name}"):
                seen = await reader.collect(conn, server, self._limit(view))
        except QueryFailed as error:
            pace.failures += 1
            finding = not_examined(view.name, server, error.message, error.hint)
            seen = Collected(findings=(finding,))
            self.latest[view.name] = seen
        else:
            self.latest[view.name] = seen
            await self._compare(view, seen, server, done)
        now = self._clock()
        if pace.ran(now, now - began, self._settings.budget):
            done.events.append(_paced(view, pace, server, now - began))

    def _limit(self, view: View) -> int:
        settings = self._settings
        return settings.top_statements if view.name == "statements" else settings.top_relations

    async def _compare(self, view: View, seen: Collected, server: ServerInfo, done: Round) -> None:
        differ = self._differs.get(view.name)
        target = Target(server.address, "" if view.of_server else server.database)
        if differ is None or differ.target != target:  # after a failover it is another
            try:
                standing = await self._resume(target, view)
            except DboptError as error:
                # Frames begin once it is known where the history ends: so a store that is away
                # at the start costs detail, and no counts.
                log.debug("no frame yet", view=view.name, error=error.message)
                return
            differ = self._differs[view.name] = Differ(view, target, standing)
        before = differ.standing
        named = dict(before.labels) if before is not None else {}
        frame = differ.frame(seen, server.now, server.started_at)
        if frame is None:
            self._stands_still(view, seen, server, differ)
            return
        done.frames.append(frame)
        done.texts.update(seen.texts)
        done.events.extend(news(frame, named))

    def _stands_still(
        self, view: View, seen: Collected, server: ServerInfo, differ: Differ
    ) -> None:
        """The server's clock was put back: say so, for until it is later there is no frame."""
        end = differ.standing.at if differ.standing is not None else server.now
        if (end - server.now).total_seconds() < _BEHIND:
            return
        remedy = "Set the server's clock. If the history is wrong: DELETE FROM dbopt.history WHERE "
        finding = not_examined(
            view.name, server,
            f"{view.name} has a history until {end:%Y-%m-%d %H:%M:%S} UTC, which is later than "
            "the server's clock: nothing new is kept until then.",
            f"{remedy}at > now(); then restart dbopt.",
        )  # fmt: skip
        self.latest[view.name] = replace(seen, findings=(*seen.findings, finding))

    def samples(self) -> Iterator[Sample]:
        """See metrics.Source."""
        for name, pace in self._paces.items():
            yield Sample("dbopt_collector_runs_total", pace.runs, (name,))
            yield Sample("dbopt_collector_failures_total", pace.failures, (name,))
            yield Sample("dbopt_collector_seconds_total", pace.cost, (name,))
            yield Sample("dbopt_collector_slowed", float(pace.slowed), (name,))

    def to_dict(self) -> list[dict[str, Any]]:
        """The collectors, for JSON. Times are seconds."""
        return [
            {
                "view": name, "runs": pace.runs, "failures": pace.failures,
                "seconds": round(pace.cost, 3), "slowed": pace.slowed,
                "rows": len(self.latest[name].rows) if name in self.latest else 0,
            }
            for name, pace in self._paces.items()
        ]  # fmt: skip


def _paced(view: View, pace: Pace, server: ServerInfo, took: float) -> Event:
    if pace.slowed:
        message = f"Reading {view.name} took {took:.2f} s: it is read less often from now on."
        log.warning("collector slowed", view=view.name, seconds=round(took, 3))
    else:
        message = f"Reading {view.name} is fast again: it is read as often as wanted."
        log.info("collector as fast as wanted again", view=view.name)
    target = Target(server.address, server.database)
    return Event(server.now, target, "collector-pace", view.name, message)


async def collect_once(
    server: Connections, settings: Stats, readers: Sequence[Collector], resume: Resume, name: str
) -> tuple[Round, Mapping[str, Collected]]:
    """One round of all views, for a command. The caller holds the collector's lock."""
    collecting, done = Collecting(server, settings, readers, resume, name=name), Round()
    await collecting.round(done)
    return done, collecting.latest
