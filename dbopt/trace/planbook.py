"""Plans by statement, database and shape: how each has done, and when one took another's place.

A plan that EXPLAIN gave is compared with EXPLAIN's before, and auto_explain's with auto_explain's:
the one may plan for any parameters, the other for those that were given.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar

import structlog

from dbopt.clock import Clock, wall
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.store.frame import Event, Target
from dbopt.store.plans import PlanRecord
from dbopt.trace.planwords import difference, essence

log = structlog.get_logger("dbopt.trace")

MAX_PLANS = 1000
MAX_SHAPES = 10
MAX_LINES = 2000
"""A longer plan (of thousands of partitions) is cut, and its document is not kept."""
SAID_FOR = 3600.0
"""Seconds in which a change from one shape to another is said once: plans may flip."""
EXPLAIN = "explain"
AUTO_EXPLAIN = "auto_explain"
_MAX_EVENTS = 1000

K = TypeVar("K")
V = TypeVar("V")


class PlanLike(Protocol):
    """dbopt.pg.plan.Plan."""

    @property
    def total_cost(self) -> float:
        """The planner's estimate."""
        ...

    @property
    def shape(self) -> str:
        """Changes when the plan does, not when its costs do."""
        ...

    @property
    def json(self) -> dict[str, Any]:
        """The server's document, without constants."""
        ...

    def text(self) -> str:
        """For people, a line a node."""
        ...


@dataclass(frozen=True, slots=True)
class Sighting:
    """A plan that was seen: which statement ran by it, where it was read, and how long it took."""

    fingerprint: int
    database: str
    plan: PlanLike
    duration_ms: float
    source: str = EXPLAIN


@dataclass(frozen=True, slots=True)
class CapturedPlan:
    """A statement's latest plan. `captured_at` is epoch seconds, `cost` the planner's units.

    `previous_shape` is the shape of the plan before, where that was another, else "", and
    `change` what differs, in words.
    """

    fingerprint: int
    database: str
    cost: float
    shape: str
    lines: tuple[str, ...]
    captured_at: float
    duration_ms: float
    previous_shape: str = ""
    json: dict[str, Any] = field(default_factory=dict, repr=False)
    source: str = EXPLAIN
    change: str = ""

    @property
    def changed(self) -> bool:
        """Whether the plan is another than the one before."""
        return bool(self.previous_shape)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "fingerprint": fingerprint_hex(self.fingerprint),
            "database": self.database,
            "source": self.source,
            "cost": self.cost,
            "shape": self.shape,
            "previous_shape": self.previous_shape,
            "changed": self.changed,
            "change": self.change,
            "lines": list(self.lines),
            "captured_at": _iso(self.captured_at),
            "duration_ms": round(self.duration_ms, 3),
            "json": self.json,
        }


@dataclass(slots=True)
class ShapeSeen:
    """All that was seen of one shape. Times are epoch seconds, durations milliseconds."""

    shape: str
    source: str
    first_seen: float
    last_seen: float
    times: int
    cost: float
    best_ms: float
    worst_ms: float
    json: Mapping[str, Any] = field(default_factory=dict, repr=False)
    essence: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For JSON; without the document."""
        return {
            "shape": self.shape,
            "source": self.source,
            "first_seen": _iso(self.first_seen),
            "last_seen": _iso(self.last_seen),
            "times": self.times,
            "cost": self.cost,
            "best_ms": round(self.best_ms, 3),
            "worst_ms": round(self.worst_ms, 3),
        }


class _Statement:
    __slots__ = ("current", "latest", "shapes")

    def __init__(self) -> None:
        self.current: dict[str, str] = {}
        self.latest: CapturedPlan | None = None
        self.shapes: OrderedDict[str, ShapeSeen] = OrderedDict()


class PlanBook:
    """The plans of the 1000 statements seen last, ten shapes each.

    `target_of` gives the Target of a database's name. `take` what is to be stored.
    """

    def __init__(
        self,
        target_of: Callable[[str], Target] = lambda name: Target("", name),
        clock: Clock = wall,
    ) -> None:
        self.changes = 0
        self._target_of = target_of
        self._clock = clock
        self._statements: OrderedDict[tuple[int, str], _Statement] = OrderedDict()
        self._said: OrderedDict[tuple[int, str, str, str], float] = OrderedDict()
        self._records: OrderedDict[tuple[int, str, str], PlanRecord] = OrderedDict()
        self._events: deque[Event] = deque(maxlen=_MAX_EVENTS)

    def seen(self, sighting: Sighting) -> CapturedPlan:
        """Note a plan; gives what was made of it."""
        key = (sighting.fingerprint, sighting.database)
        known = self._statements.get(key) or _Statement()
        put(self._statements, key, known)
        before = known.shapes.get(known.current.get(sighting.source, ""))
        changed = before is not None and _is_another(before, sighting.plan)
        lines = tuple(sighting.plan.text().splitlines())
        document = sighting.plan.json if len(lines) <= MAX_LINES else {}
        now = self._clock()
        captured = known.latest = CapturedPlan(
            fingerprint=sighting.fingerprint,
            database=sighting.database,
            cost=sighting.plan.total_cost,
            shape=sighting.plan.shape,
            lines=lines[:MAX_LINES],
            captured_at=now,
            duration_ms=sighting.duration_ms,
            previous_shape=before.shape if before and changed else "",
            json=document,
            source=sighting.source,
            change=difference(before.json, document) if before and changed else "",
        )
        known.current[sighting.source] = captured.shape
        _note(known, captured, essence(sighting.plan.json))
        self._to_store(captured)
        if before is not None and changed:
            self._changed(captured, before)
        return captured

    def _to_store(self, plan: CapturedPlan) -> None:
        at = datetime.fromtimestamp(plan.captured_at, UTC)
        key = (plan.fingerprint, plan.database, plan.shape)
        before = self._records.get(key)
        best, worst = plan.duration_ms, plan.duration_ms
        if before is not None:
            best = min(best, before.best_ms if before.best_ms is not None else best)
            worst = max(worst, before.worst_ms if before.worst_ms is not None else worst)
        record = PlanRecord(
            target=Target("", plan.database),
            fingerprint=plan.fingerprint,
            shape=plan.shape,
            first_seen=before.first_seen if before else at,
            last_seen=at,
            source=plan.source,
            times=before.times + 1 if before else 1,
            cost=plan.cost,
            best_ms=best,
            worst_ms=worst,
            json=plan.json,
        )
        put(self._records, key, record)

    def _changed(self, plan: CapturedPlan, before: ShapeSeen) -> None:
        self.changes += 1
        key = (plan.fingerprint, plan.database, before.shape, plan.shape)
        said = self._said.get(key)
        if said is not None and plan.captured_at - said < SAID_FOR:
            return
        put(self._said, key, plan.captured_at)
        number = fingerprint_hex(plan.fingerprint)
        data = {
            "fingerprint": number,
            "source": plan.source,
            "old_shape": before.shape,
            "new_shape": plan.shape,
            "old_cost": before.cost,
            "new_cost": plan.cost,
            "change": plan.change,
        }
        self._events.append(
            Event(
                at=datetime.fromtimestamp(plan.captured_at, UTC),
                target=Target("", plan.database),
                kind="plan-change",
                object=number,
                message=f"The plan of statement {number} changed: {plan.change}; "
                f"cost {before.cost:.2f} before, {plan.cost:.2f} now.",
                data=data,
            )
        )
        log.info("plan changed", fingerprint=number, database=plan.database, change=plan.change)

    def remember(self, records: Iterable[PlanRecord]) -> None:
        """Take what the store knows of plans (store.plans.read), so that a restart hides no change.

        What was seen since the start counts more.
        """
        for record in sorted(records, key=lambda one: one.last_seen):
            key = (record.fingerprint, record.target.database)
            known = self._statements.get(key) or _Statement()
            put(self._statements, key, known)
            if record.shape in known.shapes:
                continue
            known.shapes[record.shape] = _of_record(record)
            while len(known.shapes) > MAX_SHAPES:
                known.shapes.popitem(last=False)
            if known.latest is None:
                known.current[record.source] = record.shape

    def take(self) -> tuple[tuple[PlanRecord, ...], tuple[Event, ...]]:
        """What is new since the last call, for the store: plans, and plan changes."""
        # Only now: at first nobody may know the server's address yet.
        target, plans = self._target_of, self._records.values()
        taken = (
            tuple(replace(one, target=target(one.target.database)) for one in plans),
            tuple(replace(one, target=target(one.target.database)) for one in self._events),
        )
        self._records.clear()
        self._events.clear()
        return taken

    def latest(self, fingerprint: int, database: str | None = None) -> CapturedPlan | None:
        """The plan of a statement that was seen last since the start, in one database or in any."""
        found = (known.latest for known in self._of(fingerprint, database).values())
        return max(
            (plan for plan in found if plan), key=lambda plan: plan.captured_at, default=None
        )

    def shapes(self, fingerprint: int, database: str | None = None) -> list[dict[str, Any]]:
        """Every shape of a statement's plan that is known, the one seen last first, for JSON."""
        found = [
            (shape.last_seen, {"database": name} | shape.to_dict())
            for (_, name), known in self._of(fingerprint, database).items()
            for shape in reversed(known.shapes.values())
        ]
        return [shown for _, shown in sorted(found, key=lambda pair: pair[0], reverse=True)]

    def _of(self, number: int, database: str | None) -> dict[tuple[int, str], _Statement]:
        if database is not None:
            known = self._statements.get((number, database))
            return {(number, database): known} if known else {}
        return {key: known for key, known in self._statements.items() if key[0] == number}


def _is_another(before: ShapeSeen, plan: PlanLike) -> bool:
    """Whether the plan differs by more than the partitions that it reads, see planwords.essence."""
    if before.shape == plan.shape:
        return False
    known = before.essence or essence(before.json)
    return not known or known != essence(plan.json)


def _note(known: _Statement, plan: CapturedPlan, what: str) -> None:
    shape = known.shapes.pop(plan.shape, None)
    if shape is None:
        shape = ShapeSeen(
            plan.shape, plan.source, plan.captured_at, plan.captured_at, 0, plan.cost,
            plan.duration_ms, plan.duration_ms,
        )  # fmt: skip
    known.shapes[plan.shape] = shape
    shape.source, shape.last_seen, shape.cost = plan.source, plan.captured_at, plan.cost
    shape.times += 1
    shape.best_ms = min(shape.best_ms, plan.duration_ms)
    shape.worst_ms = max(shape.worst_ms, plan.duration_ms)
    shape.json = plan.json or shape.json
    shape.essence = what
    while len(known.shapes) > MAX_SHAPES:
        known.shapes.popitem(last=False)


def _of_record(record: PlanRecord) -> ShapeSeen:
    return ShapeSeen(
        shape=record.shape,
        source=record.source,
        first_seen=record.first_seen.timestamp(),
        last_seen=record.last_seen.timestamp(),
        times=record.times,
        cost=record.cost or 0.0,
        best_ms=record.best_ms or 0.0,
        worst_ms=record.worst_ms or 0.0,
        json=record.json,
    )


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def put(kept: OrderedDict[K, V], key: K, value: V, most: int = MAX_PLANS) -> None:
    """Keep it as the newest, and forget the oldest beyond `most`."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
