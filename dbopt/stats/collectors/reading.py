"""Reader: a collector whose whole work is one query, and what is said where it cannot run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.dropped import steadily
from dbopt.pg.fetch import fetch
from dbopt.pg.server import ServerInfo
from dbopt.sql.findings import Finding, Severity
from dbopt.stats.view import Collected, View, not_examined

Gaps = Callable[[ServerInfo], Iterable[Finding]]
"""What of the view cannot be seen on this server, or by this role."""


@asynccontextmanager
async def quietly(conn: AsyncConnection) -> AsyncIterator[None]:
    """A transaction for a query that is large by itself: it gets one process and some memory."""
    async with conn.transaction():
        await fetch(conn, "collect_quiet")
        yield


def no_gaps(server: ServerInfo) -> tuple[Finding, ...]:
    """Nothing is hidden."""
    return ()


@dataclass(frozen=True, slots=True)
class Reader:
    """A collector of one query, named as in pg/queries.

    `since`: the first major version that has the view. `standby`: True where only a server in
    recovery has something to tell, False where only one that is not. Parameters of the query are
    `limit` and the facts of ServerInfo that it names. A row's "stats_reset" becomes the view's
    own where all rows have one and the same (`resets`). `large`: of as many rows as there are
    relations. `hides_in_rows`: only columns are hidden, so that without rows nothing is.
    """

    view: View
    query: str
    since: int = 13
    standby: bool | None = None
    gaps: Gaps = no_gaps
    resets: bool = False
    large: bool = False
    hides_in_rows: bool = False

    async def collect(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> Collected:
        """The view's rows, each with every column of it; None where this server has it not."""
        if server.major < self.since:
            return Collected(findings=(too_old(self.view.name, server, self.since),))
        if self.standby not in (None, server.in_recovery):
            return Collected()
        rows = await steadily(lambda: self._rows(conn, server, limit))
        reset = None
        if self.resets:
            for row in rows:
                reset = row.pop("stats_reset")
        return Collected(
            [whole(row, self.view) for row in rows],
            truncated=len(rows) >= limit,
            reset=reset,
            findings=tuple(self.gaps(server)) if rows or not self.hides_in_rows else (),
        )

    async def _rows(self, conn: AsyncConnection, server: ServerInfo, limit: int) -> list[Row]:
        async with quietly(conn) if self.large else nullcontext():
            return await fetch(conn, self.query, facts(server, limit), version=server.major)


def facts(server: ServerInfo, limit: int) -> dict[str, Any]:
    """What queries may ask of the server: their parameters."""
    return {
        "limit": limit,
        "timed": server.track_io_timing,
        "wal_timed": server.track_wal_io_timing,
        "in_recovery": server.in_recovery,
        "reads_all": server.reads_all_stats,
    }


def whole(row: Row, view: View) -> Row:
    """The row with the columns that this server lacks, as None."""
    for name in view.columns:
        row.setdefault(name, None)
    return row


def too_old(view: str, server: ServerInfo, since: int) -> Finding:
    """The finding that the server's version has no such view."""
    words = view.replace("_", " ")
    message = f"PostgreSQL {server.major} does not count this ({words}); {since} and later do."
    return minor(view, server, message, f"Upgrade to PostgreSQL {since} or later.")


def minor(view: str, server: ServerInfo, message: str, remedy: str) -> Finding:
    """The finding that a part is not measured, which is so by default or by nature."""
    return replace(not_examined(view, server, message, remedy), severity=Severity.INFO)


def hidden(view: str, message: str) -> Gaps:
    """The gap that other roles' rows, or a part of them, are hidden without pg_monitor."""

    def look(server: ServerInfo) -> tuple[Finding, ...]:
        if server.reads_all_stats:
            return ()
        return (not_examined(view, server, message, f"GRANT pg_monitor TO {server.quoted_role};"),)

    return look
