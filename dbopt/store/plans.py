"""Plans in the store: one row a statement, database and shape, with how well it has done."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.store.bigint import signed, unsigned
from dbopt.store.frame import Target
from dbopt.store.text import plain_json, storable


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """One shape of a statement's plan in one database.

    To `keep` it: what one look, or `times` of them, saw between `first_seen` and `last_seen`.
    When read: all that was ever seen of the shape. `source` says where it came from, such as
    "explain" or "auto_explain"; `cost` is the planner's latest; the durations are of executions
    of the statement under this plan, in milliseconds, None where none was timed. `json` is the
    server's document without constants.
    """

    target: Target
    fingerprint: int
    shape: str
    first_seen: datetime
    last_seen: datetime
    source: str = ""
    times: int = 1
    cost: float | None = None
    best_ms: float | None = None
    worst_ms: float | None = None
    json: Mapping[str, Any] = field(default_factory=dict)


async def keep(conn: AsyncConnection, plans: Sequence[PlanRecord]) -> int:
    """Add plans to what is known; gives how many shapes that were.

    Raises StoreMissing without the schema, else ServerLost or QueryFailed.
    """
    unicode = holds_unicode(conn)
    rows = [_row(plan, unicode) for plan in combined(plans)]
    if rows:
        with translated("Storing plans", store=True):
            # One JSON document: psycopg has no array of composites.
            await fetch(conn, "store_plans_keep", {"rows": json.dumps(rows)})
    return len(rows)


def combined(plans: Iterable[PlanRecord]) -> list[PlanRecord]:
    """One record a shape, sorted by what identifies it: two writers cannot deadlock."""
    found: dict[tuple[Any, ...], PlanRecord] = {}
    for plan in plans:
        key = (plan.target, plan.fingerprint, plan.shape)
        known = found.get(key)
        found[key] = plan if known is None else _joined(known, plan)
    return [found[key] for key in sorted(found)]


def _joined(one: PlanRecord, other: PlanRecord) -> PlanRecord:
    early, late = sorted((one, other), key=lambda plan: plan.last_seen)
    return replace(
        late,
        first_seen=min(one.first_seen, other.first_seen),
        times=one.times + other.times,
        cost=early.cost if late.cost is None else late.cost,
        best_ms=_least(min, one.best_ms, other.best_ms),
        worst_ms=_least(max, one.worst_ms, other.worst_ms),
        json=late.json or early.json,
    )


def _least(choose: Any, *values: float | None) -> float | None:
    return choose((value for value in values if value is not None), default=None)  # type: ignore[no-any-return]


def _row(plan: PlanRecord, unicode: bool) -> dict[str, Any]:
    return {
        "server": storable(plan.target.server, unicode=unicode),
        "database": storable(plan.target.database, unicode=unicode),
        "fingerprint": signed(plan.fingerprint),
        "shape": storable(plan.shape, unicode=unicode),
        "source": storable(plan.source, unicode=unicode),
        "first_seen": plan.first_seen.isoformat(),
        "last_seen": plan.last_seen.isoformat(),
        "times": plan.times,
        "cost": plan.cost,
        "best_ms": plan.best_ms,
        "worst_ms": plan.worst_ms,
        "json": plain_json(plan.json, unicode=unicode),
    }


async def read(
    conn: AsyncConnection,
    *,
    fingerprint: int | None = None,
    target: Target | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> list[PlanRecord]:
    """Plans seen since a time, the one that was seen last first. Raises as `keep` does."""
    params = {
        "fingerprint": None if fingerprint is None else signed(fingerprint),
        "server": target.server if target else None,
        "database": target.database if target else None,
        "since": since,
        "limit": limit,
    }
    with translated("Reading plans", store=True):
        return [_plan(row) for row in await fetch(conn, "store_plans", params)]


async def latest(
    conn: AsyncConnection, target: Target, limit: int = 10_000
) -> dict[int, PlanRecord]:
    """The plan of each statement of a target that was seen last, by fingerprint; its json is {}.

    For who must tell whether a plan is another one than before a restart. Raises as `keep` does.
    """
    params = {"server": target.server, "database": target.database, "limit": limit}
    with translated("Reading plans", store=True):
        rows = await fetch(conn, "store_plans_latest", params)
    return {plan.fingerprint: plan for plan in map(_plan, rows)}


def _plan(row: Row) -> PlanRecord:
    parts = dict(row)
    target = Target(parts.pop("server"), parts.pop("database"))
    return PlanRecord(target=target, **{**parts, "fingerprint": unsigned(row["fingerprint"])})
