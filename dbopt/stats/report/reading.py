"""Reads what a report needs from the store: frames, events and statements' texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from dbopt.errors import UsageError
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated
from dbopt.stats.report.build import TOP, build, fingerprints
from dbopt.stats.report.compare import Comparison
from dbopt.stats.report.model import Report
from dbopt.stats.report.period import Period
from dbopt.store import events, history
from dbopt.store.frame import Event, Target

PRELUDE = timedelta(minutes=65)
"""Every entity is in a base about once an hour: so long before, how all stood is known."""
STANDING = (
    "tables", "table_storage", "table_bloat", "indexes", "index_storage", "index_bloat",
    "sequences", "database", "database_storage", "connections", "replication",
    "replication_slots", "subscriptions", "xmin_horizon",
)  # fmt: skip
"""Views of which a report tells how they stand, also of what did not change in the period."""
VIEWS = (
    *STANDING, "waits", "blocking", "statements", "traced", "transactions", "repeated", "pools",
    "functions", "bgwriter", "checkpointer", "wal", "archiver", "io", "slru", "locks", "activity",
)  # fmt: skip
COMPARED = ("statements", "traced", "database")
MAX_EVENTS = 2000


@dataclass(frozen=True, slots=True)
class Extent:
    """The history of one target: from when to when, how many frames of how many views."""

    server: str
    database: str
    first_at: datetime
    last_at: datetime
    frames: int
    views: int


async def extents(conn: AsyncConnection) -> list[Extent]:
    """What history there is. Raises StoreMissing without the schema, ServerLost, QueryFailed."""
    with translated("Listing the history", store=True):
        return [Extent(**row) for row in await fetch(conn, "report_extents")]


async def store_bytes(conn: AsyncConnection) -> int:
    """The size of all that dbopt stores. Raises as `extents`."""
    with translated("Measuring the store", store=True):
        return int((await fetch(conn, "report_size"))[0]["bytes"])


def chosen(found: Sequence[Extent], server: str, database: str) -> tuple[str, tuple[Target, ...]]:
    """The server and those of its targets that a report is of; "" for whichever there is. PURE.

    Raises UsageError where there is no history of it, or of several servers and none is named.
    """
    if not found:
        raise UsageError(
            "There is no history yet.",
            hint="Run `dbopt serve`, or `dbopt stats snapshot` twice.",
        )
    servers = sorted({extent.server for extent in found})
    if not server and len(servers) > 1:
        raise UsageError(
            f"There is history of several servers: {', '.join(servers)}.",
            hint="Choose one with --server.",
        )
    server = server or servers[0]
    of = [extent for extent in found if extent.server == server]
    names = sorted({extent.database for extent in of if extent.database})
    if not of or (database and names and database not in names):
        what = f"database {database} on {server}" if of else f"server {server}"
        there = ", ".join(names) if of else ", ".join(servers)
        raise UsageError(f"There is no history of {what}.", hint=f"There is history of {there}.")
    wanted = (extent for extent in of if not database or extent.database in ("", database))
    return server, tuple(Target(extent.server, extent.database) for extent in wanted)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to report: a time, of a server's database ("" for whichever there is)."""

    since: datetime
    until: datetime
    server: str = ""
    database: str = ""
    top: int = TOP
    cpus: int = 0


async def report_of(conn: AsyncConnection, wanted: Wanted) -> Report:
    """The report of a period, from the store.

    Raises UsageError where there is no history of that time (it says of which there is),
    StoreMissing without the schema, ServerLost or QueryFailed.
    """
    there = await extents(conn)
    server, targets = chosen(there, wanted.server, wanted.database)
    period = Period(wanted.since, wanted.until, wanted.database)
    await _fill(conn, period, targets, VIEWS, STANDING)
    if not any(period.has(view) for view in period.views):
        raise _nothing(there, server, wanted)
    period.events = await _events(conn, period, server)
    comparisons = await _comparisons(conn, period, targets)
    texts = await history.texts(conn, fingerprints((period,)))
    return build(period, server, comparisons, texts, top=wanted.top, cpus=wanted.cpus)


def _nothing(there: Sequence[Extent], server: str, wanted: Wanted) -> UsageError:
    of = [extent for extent in there if extent.server == server]
    first, last = min(e.first_at for e in of), max(e.last_at for e in of)
    zone = wanted.since.tzinfo
    ends = f"{wanted.since:%Y-%m-%d %H:%M} and {wanted.until:%Y-%m-%d %H:%M}"
    return UsageError(
        f"There is no history of {server} between {ends}.",
        hint=f"There is from {first.astimezone(zone):%Y-%m-%d %H:%M} to "
        f"{last.astimezone(zone):%Y-%m-%d %H:%M}: see `dbopt stats list`.",
    )


async def _fill(
    conn: AsyncConnection,
    period: Period,
    targets: Sequence[Target],
    views: Collection[str],
    standing: Collection[str] = (),
) -> None:
    for target in targets:
        if standing:
            begin = period.since - PRELUDE
            async for frame in history.read(conn, target, standing, begin, period.since):
                period.add(frame)
        async for frame in history.read(conn, target, views, period.since, period.until):
            period.add(frame)


async def _events(conn: AsyncConnection, period: Period, server: str) -> list[Event]:
    found = await events.read(
        conn, since=period.since, until=period.until, limit=MAX_EVENTS,
        target=Target(server, period.database),
    )  # fmt: skip
    if period.database:
        found += await events.read(
            conn, since=period.since, until=period.until, limit=MAX_EVENTS, target=Target(server)
        )
        # What is of the server as a whole is asked for apart: a target names one database.
        found = list({(e.at, e.kind, e.object, e.message): e for e in found
                      if e.target.database in ("", period.database)}.values())  # fmt: skip
    return found


async def _comparisons(
    conn: AsyncConnection, period: Period, targets: Sequence[Target]
) -> list[Comparison]:
    """With the same length just before, and the same time a day earlier if that is another."""
    length, day = period.until - period.since, timedelta(days=1)
    found = []
    for name, id_, back in (
        ("the period before", "before", length),
        ("the same time a day earlier", "yesterday", day),
    ):
        if id_ == "yesterday" and length >= day:
            continue
        earlier = Period(period.since - back, period.until - back, period.database)
        await _fill(conn, earlier, targets, COMPARED)
        if earlier.views:
            found.append(Comparison(name, id_, period, earlier))
    return found
