"""Takes a snapshot: reads each view, then writes all in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from dbopt.errors import QueryFailed
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.refusal import translated
from dbopt.pg.server import ServerInfo
from dbopt.settings import Stats
from dbopt.stats.oldcollectors import VIEWS, collectors
from dbopt.stats.view import Collected, Collector, not_examined
from dbopt.store import snapshots
from dbopt.store.snapshots import Header, Snapshot

MAX_RELATIONS = 10_000
"""Tables, and indexes, kept of each snapshot: the most active."""

COLUMNS: dict[str, tuple[str, ...]] = {view.table: view.columns for view in VIEWS}


async def take(
    conn: AsyncConnection,
    store_conn: AsyncConnection,
    server: ServerInfo,
    settings: Stats,
    readers: Sequence[Collector] | None = None,
) -> Snapshot:
    """Read every view over `conn`, write the snapshot over `store_conn`, expire old ones.

    A view that the server refuses becomes a finding that it was not examined. Raises
    StoreMissing without the schema, ServerLost when a connection breaks, else QueryFailed.
    """
    seen: dict[str, Collected] = {}
    for reader in readers or collectors():
        limit = settings.top_statements if reader.view.name == "statements" else MAX_RELATIONS
        seen[reader.view.name] = await _look(reader, conn, server, limit)
    snapshot = assemble(server, seen)
    number = await snapshots.write(store_conn, snapshot, COLUMNS)
    await snapshots.expire(store_conn, server.now - timedelta(days=settings.retention_days))
    return replace(snapshot, header=replace(snapshot.header, id=number))


async def _look(
    reader: Collector, conn: AsyncConnection, server: ServerInfo, limit: int
) -> Collected:
    name = reader.view.name
    try:
        with translated(f"Reading {name}"):
            return await reader.collect(conn, server, limit)
    except QueryFailed as error:
        return Collected(finding=not_examined(name, server, error.message, error.hint))


def assemble(server: ServerInfo, seen: dict[str, Collected]) -> Snapshot:
    """The snapshot of what was seen, by the views' names; `server.now` is its time. PURE."""
    empty = Collected()
    statements = seen.get("statements", empty)
    header = Header(
        taken_at=server.now,
        server=server.address,
        database=server.database,
        version_num=server.version_num,
        stats_reset=seen.get("database", empty).reset,
        statements_reset=statements.reset,
        statements_dealloc=statements.dealloc,
        truncated=frozenset(name for name, part in seen.items() if part.truncated),
        findings=tuple(part.finding for part in seen.values() if part.finding),
    )
    rows = {view.table: seen[view.name].rows for view in VIEWS if view.name in seen}
    texts = {number: text for part in seen.values() for number, text in part.texts.items()}
    return Snapshot(header, rows, texts)
