"""Snapshots of the pg_stat views in the store: written whole, read back whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dbopt.errors import UsageError
from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import copy_into, fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.sql.findings import Finding, Severity
from dbopt.store.bigint import signed, unsigned
from dbopt.store.text import storable

SCHEMA = "dbopt"
MAX_LISTED = 10_000


@dataclass(frozen=True, slots=True)
class Header:
    """When and where a snapshot was taken, and what it could not see.

    `server` is what the server calls itself, host:port. `truncated` names the views of which
    only the most active rows were kept. `statements_dealloc` counts the statements that
    pg_stat_statements has evicted. A reset time that is None is unknown.
    """

    taken_at: datetime
    server: str
    database: str
    version_num: int
    stats_reset: datetime | None = None
    statements_reset: datetime | None = None
    statements_dealloc: int | None = None
    truncated: frozenset[str] = frozenset()
    findings: tuple[Finding, ...] = ()
    id: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A header, each table's rows (by its name in the schema dbopt), and statements' texts.

    A row is a dict of the table's columns. Fingerprints are unsigned here.
    """

    header: Header
    rows: dict[str, list[Row]] = field(default_factory=dict)
    texts: dict[int, str] = field(default_factory=dict)


async def write(
    conn: AsyncConnection, snapshot: Snapshot, columns: Mapping[str, Sequence[str]]
) -> int:
    """Write a snapshot in one transaction and give its id; `columns` by table.

    Raises StoreMissing without the schema, else ServerLost or QueryFailed.
    """
    with translated("Writing a snapshot", store=True):
        async with conn.transaction():
            found = await fetch(conn, "store_snapshot_insert", _header_params(snapshot.header))
            number = int(found[0]["id"])
            for table, rows in snapshot.rows.items():
                await _copy(conn, number, table, columns[table], rows)
            await _keep_texts(conn, snapshot.texts)
    return number


async def _copy(
    conn: AsyncConnection, number: int, table: str, columns: Sequence[str], rows: list[Row]
) -> None:
    unicode = holds_unicode(conn)
    values = ([number, *(_to_column(name, row[name], unicode) for name in columns)] for row in rows)
    await copy_into(conn, (SCHEMA, table), ["snapshot_id", *columns], values)


def _to_column(name: str, value: Any, unicode: bool) -> Any:
    if name == "fingerprint":
        return signed(value)
    return storable(value, unicode=unicode) if isinstance(value, str) else value


def _header_params(header: Header) -> dict[str, Any]:
    return {
        "taken_at": header.taken_at,
        "server": header.server,
        "database": header.database,
        "version_num": header.version_num,
        "stats_reset": header.stats_reset,
        "statements_reset": header.statements_reset,
        "statements_dealloc": header.statements_dealloc,
        "truncated": sorted(header.truncated),
        "findings": json.dumps([finding.to_dict() for finding in header.findings], default=str),
    }


async def _keep_texts(conn: AsyncConnection, texts: Mapping[int, str]) -> None:
    if texts:
        params = {
            "fingerprints": [signed(fingerprint) for fingerprint in texts],
            "texts": [storable(text, unicode=holds_unicode(conn)) for text in texts.values()],
        }
        await fetch(conn, "store_statement_texts", params)


async def expire(conn: AsyncConnection, before: datetime) -> None:
    """Forget what was taken before a time: snapshots, slow statements, texts."""
    with translated("Expiring the store's history", store=True):
        async with conn.transaction():
            for name in ("store_expire_snapshots", "store_expire_slow", "store_expire_statements"):
                await fetch(conn, name, {"before": before})


async def headers(
    conn: AsyncConnection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    server: str | None = None,
    database: str | None = None,
    limit: int = MAX_LISTED,
) -> list[Header]:
    """Snapshots' headers, the newest first. Raises StoreMissing, ServerLost or QueryFailed."""
    params = {
        "since": since,
        "until": until,
        "server": server,
        "database": database,
        "limit": limit,
    }
    with translated("Listing snapshots", store=True):
        return [_header(row) for row in await fetch(conn, "store_snapshots", params)]


async def pair(
    conn: AsyncConnection,
    since: datetime | None = None,
    until: datetime | None = None,
    database: str | None = None,
) -> tuple[Header, Header]:
    """The two snapshots of one server's database that a report compares, the older first.

    The newer is the last until `until`, of `database` if one is given. The older is the first
    since `since`, or, without it, the one just before the newer. Raises UsageError when there are
    no two.
    """
    latest = await headers(conn, until=until, database=database, limit=1)
    if latest:
        after = latest[0]
        before = await _before(conn, after, since)
        if before is not None and before.taken_at < after.taken_at:
            return before, after
    raise UsageError(
        "A report compares two snapshots, and there are no two in that time.",
        hint="`dbopt stats snapshot` takes one; `dbopt stats list` shows those there are.",
    )


async def _before(conn: AsyncConnection, after: Header, since: datetime | None) -> Header | None:
    server, database = after.server, after.database
    if since is None:
        two = await headers(conn, until=after.taken_at, server=server, database=database, limit=2)
        return two[1] if len(two) == 2 else None
    params = {"since": since, "server": server, "database": database}
    with translated("Finding a snapshot", store=True):
        rows = await fetch(conn, "store_first_snapshot", params)
    return _header(rows[0]) if rows else None


async def load(conn: AsyncConnection, number: int, tables: Iterable[str]) -> Snapshot:
    """A snapshot with its rows of `tables`, and its statements' texts.

    Raises UsageError when there is none with that id.
    """
    with translated("Reading a snapshot", store=True):
        found = await fetch(conn, "store_snapshot", {"id": number})
        if not found:
            raise UsageError(f"There is no snapshot {number}.", hint="See `dbopt stats list`.")
        rows = {table: await _rows(conn, number, table) for table in tables}
        return Snapshot(_header(found[0]), rows, await _texts(conn, rows))


async def _rows(conn: AsyncConnection, number: int, table: str) -> list[Row]:
    rows = await fetch(conn, "store_rows", {"id": number}, table=table)
    for row in rows:
        del row["snapshot_id"]
        if "fingerprint" in row:
            row["fingerprint"] = unsigned(row["fingerprint"])
    return rows


async def _texts(conn: AsyncConnection, rows: Mapping[str, list[Row]]) -> dict[int, str]:
    wanted = {row["fingerprint"] for part in rows.values() for row in part if "fingerprint" in row}
    if not wanted:
        return {}
    params = {"fingerprints": [signed(fingerprint) for fingerprint in wanted]}
    found = await fetch(conn, "store_texts", params)
    return {unsigned(row["fingerprint"]): row["text"] for row in found}


def _header(row: Row) -> Header:
    parts = dict(row)
    parts["truncated"] = frozenset(row["truncated"])
    parts["findings"] = tuple(_finding(item) for item in row["findings"])
    return Header(**parts)


def _finding(item: Mapping[str, Any]) -> Finding:
    return Finding(**{**item, "severity": Severity[str(item["severity"]).upper()]})
