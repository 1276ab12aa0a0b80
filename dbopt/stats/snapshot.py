"""One round of collecting for a command: it takes the collector's lock, reads, and stores."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from dbopt.errors import UsageError
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated
from dbopt.pg.server import ServerInfo, read_server
from dbopt.settings import Stats
from dbopt.sql.findings import Finding
from dbopt.stats.collecting import Round, collect_once
from dbopt.stats.collectors import collectors
from dbopt.stats.report.coverage import unseen_events
from dbopt.stats.view import View
from dbopt.store import events, history, partitions
from dbopt.store.frame import Standing, Target
from dbopt.store.recording import History


@dataclass(frozen=True, slots=True)
class Taken:
    """What a snapshot was: of whom and when, frames stored, what was not examined."""

    server: ServerInfo
    at: datetime
    frames: int
    first: bool
    findings: tuple[Finding, ...]


class _One:
    """A connection as a pool of one."""

    def __init__(self, conn: AsyncConnection) -> None:
        self._conn = conn

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[AsyncConnection]:
        """Lend it."""
        yield self._conn


async def take(
    conn: AsyncConnection, store: AsyncConnection, settings: Stats, name: str = ""
) -> Taken:
    """Read every view over `conn`, write what is new over `store`.

    Raises UsageError where a sidecar collects for this database already (it says which),
    StoreMissing without the schema, ServerLost when a connection breaks, else QueryFailed.
    """
    await _hold(conn)

    async def resume(target: Target, view: View) -> Standing | None:
        return await history.resume(store, target, view.name)

    server = await read_server(conn, name)
    await partitions.keep(store, server.now, settings.retention_days)
    done, latest = await collect_once(_One(conn), settings, collectors(), resume, name)
    findings = {
        (finding.rule, finding.message): finding
        for seen in latest.values()
        for finding in seen.findings
    }
    target = Target(server.address, server.database)
    done.events.extend(unseen_events(findings.values(), target, server.now))
    frames = await _write(store, done)
    first = all(frame.seconds == 0 for frame in done.frames)
    return Taken(server, server.now, frames, first, tuple(findings.values()))


async def _hold(conn: AsyncConnection) -> None:
    """Take the collector's lock; it goes with the session."""
    with translated("Asking for the collector's lock"):
        if (await fetch(conn, "leader_try"))[0]["held"]:
            return
        holders = await fetch(conn, "report_collector")
    who = "Another sidecar"
    if holders:
        holder = holders[0]
        who = f"A sidecar (backend {holder['pid']}, from {holder['client']})"
    raise UsageError(
        f"{who} collects for this database already: no snapshot was taken.",
        hint="Its snapshots are in the history: see `dbopt stats list`.",
    )


async def _write(store: AsyncConnection, done: Round) -> int:
    async with store.transaction():
        count = await History().write(store, done.frames, done.texts)
        await events.append(store, done.events)
    return count
