"""One statement's whole story, out of the store's history or the running daemon's memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from dbopt.cli.history import ask
from dbopt.cli.slow import slow_dict
from dbopt.errors import ConnectError, UsageError
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.plan import parse_plan
from dbopt.sql.analyze import Analyzer
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.store import events, history
from dbopt.store import plans as plan_store
from dbopt.store import slow as slow_store
from dbopt.store.frame import Frame
from dbopt.store.plans import PlanRecord
from dbopt.store.totals import Total
from dbopt.trace.summary import DIMENSIONS, complexity_dict

SAMPLES = 5
_MOST_EVENTS = 1000
_WHO = DIMENSIONS[1:]
_SUMS = (
    "calls", "rows", "errors", "total_us", "queue_us", "transfer_us", "received_bytes",
    "sent_bytes",
)  # fmt: skip
_SERVER = (
    "calls", "rows", "total_exec_us", "total_plan_us", "shared_blks_hit", "shared_blks_read",
    "shared_blks_dirtied", "temp_blks_written", "wal_bytes",
)  # fmt: skip


@dataclass(slots=True)
class Story:
    """What is known of a statement between two times. All but `query` may be empty.

    `timeline` is a dict a minute that it ran in: at, calls, total_us, p95_us, max_us. `who` has
    sums by dimension and name, `server` what pg_stat_statements counted, `waits` samples by wait,
    `changes` what is said of its plans. `source` is "store" or "daemon".
    """

    fingerprint: int
    since: datetime
    until: datetime
    query: str = ""
    source: str = "store"
    sums: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_SUMS, 0))
    timeline: list[dict[str, Any]] = field(default_factory=list)
    who: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    server: dict[str, int] = field(default_factory=dict)
    waits: dict[str, int] = field(default_factory=dict)
    slow: list[dict[str, Any]] = field(default_factory=list)
    plans: list[dict[str, Any]] = field(default_factory=list)
    changes: list[dict[str, Any]] = field(default_factory=list)

    @property
    def seen(self) -> bool:
        """Whether anything is known of it."""
        return bool(self.query or self.sums["calls"] or self.slow or self.plans or self.server)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; times are microseconds where a name ends in _us."""
        judged = Analyzer().analyze(self.query) if self.query else None
        return {
            "fingerprint": fingerprint_hex(self.fingerprint),
            "query": self.query,
            "kind": str(judged.kind) if judged else None,
            "complexity": complexity_dict(judged.complexity) if judged else None,
            "since": self.since.isoformat(timespec="seconds"),
            "until": self.until.isoformat(timespec="seconds"),
            "source": self.source,
            **self.sums,
            "by": self.who,
            "timeline": self.timeline,
            "pg_stat_statements": self.server,
            "waits": self.waits,
            "slow": self.slow,
            "plans": self.plans,
            "plan_changes": self.changes,
        }


async def from_history(
    connection: AsyncConnection, number: int, since: datetime, until: datetime
) -> Story:
    """The story in the store. Raises UsageError where nothing is known, else as the store does."""
    story = Story(number, since, until)
    texts = await history.texts(connection, [number])
    story.query = texts.get(number, "")
    for target in await history.targets(connection):
        async for frame in history.read(connection, target, ("traced",), since, until):
            _traced(story, frame)
        _waited(story, await history.total(connection, target, "waits", since, until))
        _counted(story, await history.total(connection, target, "statements", since, until))
    records = await slow_store.read(
        connection, since=since, until=until, fingerprint=number, order="duration", limit=SAMPLES
    )
    story.slow = [slow_dict(record) for record in records]
    found = await plan_store.read(connection, fingerprint=number, since=since)
    story.plans = [_plan_dict(plan) for plan in found]
    story.changes = await _changes(connection, story)
    if not story.query and records:
        story.query = records[0].text
    return _known(story)


def _traced(story: Story, frame: Frame) -> None:
    sums = dict.fromkeys(_SUMS, 0)
    p95 = longest = 0
    for key, values in frame.changed.items():
        if key[0] != story.fingerprint:
            continue
        row = {n: v or 0 for n, v in zip(frame.columns, values, strict=True)}
        for name in _SUMS:
            sums[name] += row.get(name, 0)
        p95, longest = max(p95, row.get("p95_us", 0)), max(longest, row.get("max_us", 0))
        for dimension, value in zip(_WHO, key[1:], strict=True):
            names = story.who.setdefault(dimension, {})
            one = names.setdefault(str(value), {"calls": 0, "total_us": 0})
            one["calls"] += row["calls"]
            one["total_us"] += row["total_us"]
    for name, value in sums.items():
        story.sums[name] += value
    if sums["calls"]:
        at = frame.at.isoformat(timespec="seconds")
        minute = {"calls": sums["calls"], "total_us": sums["total_us"]}
        story.timeline.append({"at": at} | minute | {"p95_us": p95, "max_us": longest})


def _waited(story: Story, total: Total | None) -> None:
    if total is None:
        return
    for (_, kind, event, number, *_), values in total.values.items():
        if number == story.fingerprint:
            wait = f"{kind}:{event}" if kind else "CPU"
            story.waits[wait] = story.waits.get(wait, 0) + (values[0] or 0)


def _counted(story: Story, total: Total | None) -> None:
    """Add what pg_stat_statements counted; the entries of a statement name its fingerprint."""
    if total is None:
        return
    columns = (*total.counters, *total.gauges)
    for key, labels in total.labels.items():
        number = labels.get("fingerprint")
        if number is None or int(number) % (1 << 64) != story.fingerprint:
            continue
        row = dict(zip(columns, total.values.get(key, ()), strict=False))
        for name in _SERVER:
            story.server[name] = story.server.get(name, 0) + (row.get(name) or 0)


async def _changes(connection: AsyncConnection, story: Story) -> list[dict[str, Any]]:
    found = await events.read(
        connection, since=story.since, until=story.until, kinds=("plan-change",), limit=_MOST_EVENTS
    )
    name = fingerprint_hex(story.fingerprint)
    return [
        {"at": one.at.isoformat(timespec="seconds"), "database": one.target.database,
         "message": one.message, **one.data}
        for one in found
        if one.object == name
    ]  # fmt: skip


def _plan_dict(plan: PlanRecord) -> dict[str, Any]:
    return {
        "database": plan.target.database,
        "shape": plan.shape,
        "source": plan.source,
        "first_seen": plan.first_seen.isoformat(timespec="seconds"),
        "last_seen": plan.last_seen.isoformat(timespec="seconds"),
        "times": plan.times,
        "cost": plan.cost,
        "best_ms": plan.best_ms,
        "worst_ms": plan.worst_ms,
        "lines": _lines(plan.json),
    }


def _lines(document: Mapping[str, Any]) -> list[str]:
    try:
        return parse_plan([document]).text().splitlines()
    except ValueError:
        return []


def _known(story: Story) -> Story:
    if not story.seen:
        raise UsageError(
            f"No statement {fingerprint_hex(story.fingerprint)} was seen since "
            f"{story.since:%Y-%m-%d %H:%M}.",
            hint="`dbopt status` and `dbopt slow` name statements; --since 7d looks further back.",
        )
    return story


def from_daemon(base: str, number: int, since: datetime, until: datetime) -> Story:
    """The story as far as the running daemon remembers it. Raises UsageError, ConnectError."""
    name = fingerprint_hex(number)
    story = Story(number, since, until, source="daemon")
    for one in ask(base, "/statements", fingerprint=name, limit=1):
        story.query = one["query"]
        story.sums = {n: _micros(one, n) for n in _SUMS}
    for dimension in _WHO:
        rows = ask(base, "/statements", fingerprint=name, by=dimension, limit=20)
        story.who[dimension] = {
            row[dimension]: {"calls": row["calls"], "total_us": _micros(row, "total_us")}
            for row in rows
        }
    story.slow = ask(base, "/slow", fingerprint=name, order="duration", limit=SAMPLES)
    story.query = story.query or next((one["query"] for one in story.slow), "")
    story.waits = _summed(one["waits"] for one in story.slow)
    try:
        plan = ask(base, f"/plans/{name}")
    except ConnectError:
        plan = {"plans": []}  # the daemon answers 404 where it has none
    shapes = plan["plans"]
    story.plans = [
        shape | {"lines": plan.get("lines", []) if shape["shape"] == plan.get("shape") else []}
        for shape in shapes
    ]
    return _known(story)


def _micros(one: Mapping[str, Any], name: str) -> int:
    if name == "errors":
        return sum(int(many) for many in one["errors"].values())
    if name == "total_us":
        return round(float(one["total_ms"]) * 1e3)
    if name.endswith("_us"):  # the daemon gives a call's mean
        return round(float(one[name.removesuffix("_us") + "_ms"]) * int(one["calls"]) * 1e3)
    return int(one[name])


def _summed(found: Iterable[Mapping[str, int]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for waits in found:
        for wait, count in waits.items():
            sums[wait] = sums.get(wait, 0) + count
    return sums
