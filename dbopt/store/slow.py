"""Slow statements in the store: appended by the batch, read back newest first."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dbopt.observation import SlowStatement
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import copy_into, fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.store.bigint import signed, unsigned
from dbopt.store.text import storable

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
)
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


async def append(
    conn: AsyncConnection, batch: Sequence[tuple[SlowStatement, PlanJson | None]]
) -> int:
    """Store slow statements, each with its plan if there is one; `sql` is not stored.

    Gives how many. Raises StoreMissing without the schema, else ServerLost or QueryFailed.
    """
    with translated("Storing slow statements", store=True):
        unicode = holds_unicode(conn)
        values = (_values(statement, plan, unicode) for statement, plan in batch)
        return await copy_into(conn, ("dbopt", "slow_statement"), COLUMNS, values)


def _values(statement: SlowStatement, plan: PlanJson | None, unicode: bool) -> tuple[Any, ...]:
    return (
        datetime.fromtimestamp(statement.started, UTC),
        signed(statement.fingerprint),
        storable(statement.text, unicode=unicode),
        storable(statement.database, unicode=unicode),
        storable(statement.user, unicode=unicode),
        storable(statement.application, unicode=unicode),
        statement.duration_ms,
        statement.queue_ms,
        statement.server_ms,
        statement.rows,
        storable(statement.sqlstate),
        statement.backend_pid,
        None if plan is None else json.dumps(plan),
    )


async def read(
    conn: AsyncConnection,
    *,
    since: datetime | None = None,
    fingerprint: int | None = None,
    limit: int = 100,
) -> list[SlowRecord]:
    """Slow statements, the newest first. Raises StoreMissing, ServerLost or QueryFailed."""
    params = {
        "since": since,
        "fingerprint": None if fingerprint is None else signed(fingerprint),
        "limit": limit,
    }
    with translated("Reading slow statements", store=True):
        rows = await fetch(conn, "store_slow", params)
    return [SlowRecord(**{**row, "fingerprint": unsigned(row["fingerprint"])}) for row in rows]
