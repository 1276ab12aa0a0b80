"""Slow statements in the store: appended by the batch, read back newest first."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dbopt.errors import UsageError
from dbopt.observation import SlowStatement
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import copy_into, fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.store.bigint import signed, unsigned
from dbopt.store.text import plain_json, storable

COLUMNS = (
    "at",
    "fingerprint",
    "text",
    "database",
    "user",
    "application",
    "duration_ms",
    "queue_ms",
    "server_ms",
    "rows",
    "sqlstate",
    "backend_pid",
    "plan",
    "server",
    "route",
    "tags",
    "trace_id",
    "transfer_ms",
    "received",
    "sent",
    "waits",
    "shape",
)
ORDERS = {"time": "store_slow_by_time", "duration": "store_slow_by_duration"}
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")
PlanJson = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SlowEntry:
    """A slow statement to be stored, with what was learned of it.

    `server` is the Target's. `waits` counts samples by wait event, as "Type:Event"; `plan` is
    `Plan.json` and `shape` the plan's.
    """

    statement: SlowStatement
    plan: PlanJson | None = None
    shape: str = ""
    waits: Mapping[str, int] = field(default_factory=dict)
    server: str = ""


@dataclass(frozen=True, slots=True)
class SlowRecord:
    """One slow statement as it is stored. `plan` is `Plan.json`, None where there is none.

    `at` is when it began. `duration_ms` is queue, server and transfer; `received` and `sent` are
    bytes. `trace_id` is of the traceparent, "" without one.
    """

    id: int
    at: datetime
    fingerprint: int
    text: str
    database: str
    user: str
    application: str
    duration_ms: float
    queue_ms: float
    server_ms: float
    rows: int
    sqlstate: str
    backend_pid: int
    plan: dict[str, Any] | None
    server: str = ""
    route: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    trace_id: str = ""
    transfer_ms: float = 0.0
    received: int = 0
    sent: int = 0
    waits: dict[str, int] = field(default_factory=dict)
    shape: str = ""


async def append(conn: AsyncConnection, entries: Sequence[SlowEntry]) -> int:
    """Store slow statements; `sql` is not stored. Gives how many.

    Raises StoreMissing without the schema, else ServerLost or QueryFailed.
    """
    with translated("Storing slow statements", store=True):
        unicode = holds_unicode(conn)
        values = (_values(entry, unicode) for entry in entries)
        return await copy_into(conn, ("dbopt", "slow_statement"), COLUMNS, values)


def _values(entry: SlowEntry, unicode: bool) -> tuple[Any, ...]:
    def text(given: str) -> str:
        return storable(given, unicode=unicode)

    def document(given: Mapping[str, Any]) -> str:
        return json.dumps(plain_json(given, unicode=unicode))

    one = entry.statement
    return (
        datetime.fromtimestamp(one.started, UTC),
        signed(one.fingerprint),
        *map(text, (one.text, one.database, one.user, one.application)),
        one.duration_ms,
        one.queue_ms,
        one.server_ms,
        one.rows,
        text(one.sqlstate),
        one.backend_pid,
        None if entry.plan is None else document(entry.plan),
        text(entry.server),
        text(one.route),
        document(one.tags),
        trace_id(one.traceparent),
        one.transfer_ms,
        one.received,
        one.sent,
        document(entry.waits),
        text(entry.shape),
    )


def trace_id(traceparent: str) -> str:
    """W3C's trace id, 32 hexadecimal digits, of a traceparent; "" where it has none.

    Source: https://www.w3.org/TR/trace-context/#traceparent-header
    """
    found = _TRACEPARENT.match(traceparent)
    return found[1] if found and found[1].strip("0") else ""


async def read(
    conn: AsyncConnection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    fingerprint: int | None = None,
    server: str | None = None,
    database: str | None = None,
    user: str | None = None,
    application: str | None = None,
    route: str | None = None,
    errors: bool = False,
    order: str = "time",
    limit: int = 100,
) -> list[SlowRecord]:
    """Slow statements that began in `since` <= at < `until`, the newest or ("duration") slowest
    first; with `errors` only those that failed.

    Raises UsageError for an order that is not of ORDERS, else StoreMissing, ServerLost or
    QueryFailed.
    """
    if order not in ORDERS:
        raise UsageError(f"Slow statements have no order {order!r}.", hint=f"One of {[*ORDERS]}.")
    params = {
        "since": since,
        "until": until,
        "fingerprint": None if fingerprint is None else signed(fingerprint),
        "server": server,
        "database": database,
        "user": user,
        "application": application,
        "route": route,
        "errors": errors,
        "limit": limit,
    }
    with translated("Reading slow statements", store=True):
        rows = await fetch(conn, ORDERS[order], params)
    return [SlowRecord(**{**row, "fingerprint": unsigned(row["fingerprint"])}) for row in rows]
