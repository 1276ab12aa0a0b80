"""The difference of two snapshots. PURE.

Counters only grow. One that went down was reset in between (by a person, a crash, an eviction
and return, a DROP and CREATE under the same oid), and so was one whose reset time moved: its
new value alone is what is known of the period, and the row is marked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from dbopt.errors import UsageError
from dbopt.stats.view import View
from dbopt.store.snapshots import Header, Snapshot

Row = Mapping[str, Any]
Number = int | float


class Change(StrEnum):
    """How a row of the newer snapshot relates to the older one.

    SAME: in both. NEW: made in between. RESET: its counters began again in between.
    UNKNOWN: the older snapshot may have left it out (truncated, or not examined), so that its
    counters say nothing of the period.
    """

    SAME = "same"
    NEW = "new"
    RESET = "reset"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Delta:
    """One row: what its counters grew by in the period, and its labels and gauges at the end.

    A value is None where it was not measured at either end.
    """

    change: Change
    labels: Mapping[str, Any]
    grown: Mapping[str, Number | None]
    gauges: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ViewDiff:
    """One view: a delta for each row of the newer snapshot, and the rows that are gone."""

    deltas: tuple[Delta, ...]
    vanished: tuple[Row, ...]
    reset: bool

    @property
    def known(self) -> tuple[Delta, ...]:
        """The deltas that tell of the period."""
        return tuple(delta for delta in self.deltas if delta.change is not Change.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Diff:
    """Two snapshots of one database, and each view's difference by the view's name."""

    before: Header
    after: Header
    views: Mapping[str, ViewDiff]
    texts: Mapping[int, str]

    @property
    def seconds(self) -> float:
        """The period's length."""
        return (self.after.taken_at - self.before.taken_at).total_seconds()


def diff(before: Snapshot, after: Snapshot, views: Sequence[View]) -> Diff:
    """What happened between two snapshots.

    Raises UsageError when they are of different databases or not in this order.
    """
    old, new = before.header, after.header
    if (old.server, old.database) != (new.server, new.database):
        raise UsageError(f"Snapshots {old.id} and {new.id} are of different databases.")
    if old.taken_at >= new.taken_at:
        raise UsageError(f"Snapshot {old.id} is not older than snapshot {new.id}.")
    all_reset = _moved(old.stats_reset, new.stats_reset) or _database_fell(before, after, views)
    statements_reset = _moved(old.statements_reset, new.statements_reset)
    parts = {
        view.name: _view(
            view, before, after, statements_reset if view.name == "statements" else all_reset
        )
        for view in views
    }
    return Diff(old, new, parts, {**before.texts, **after.texts})


def _moved(old: datetime | None, new: datetime | None) -> bool:
    # Never reset (None) to reset counts; a time that became unknown does not.
    return new is not None and old != new


def _database_fell(before: Snapshot, after: Snapshot, views: Sequence[View]) -> bool:
    """Whether the database's own counters began again: after a crash every counter does."""
    for view in views:
        if view.name == "database":
            old, new = before.rows.get(view.table, []), after.rows.get(view.table, [])
            return bool(old and new and _fell(view, old[0], new[0]))
    return False


def _view(view: View, before: Snapshot, after: Snapshot, reset: bool) -> ViewDiff:
    old = {_key(view, row): row for row in before.rows.get(view.table, [])}
    new = {_key(view, row): row for row in after.rows.get(view.table, [])}
    # What the older snapshot could not see says nothing of when its counters began.
    blind = any(finding.rule == f"stats-{view.name}" for finding in before.header.findings)
    partial = blind or view.name in before.header.truncated
    deltas = tuple(
        _delta(view, old.get(key), row, reset, partial, before.header.taken_at)
        for key, row in new.items()
    )
    vanished = tuple(row for key, row in old.items() if key not in new)
    return ViewDiff(deltas, vanished, reset)


def _key(view: View, row: Row) -> tuple[Any, ...]:
    return tuple(row[name] for name in view.key)


def _delta(
    view: View, old: Row | None, new: Row, reset: bool, partial: bool, since: datetime
) -> Delta:
    change = _change(view, old, new, reset, partial, since)
    base = old if change is Change.SAME and old is not None else {}
    return Delta(
        change,
        {name: new[name] for name in view.key + view.labels},
        {name: _grown(base, new, name) for name in view.counters},
        {name: new[name] for name in view.gauges},
    )


def _change(
    view: View, old: Row | None, new: Row, reset: bool, partial: bool, since: datetime
) -> Change:
    began = new.get("stats_since")
    if old is None:
        if reset or not partial or (began is not None and began >= since):
            return Change.NEW
        return Change.UNKNOWN
    if reset or _moved(old.get("stats_since"), began) or _fell(view, old, new):
        return Change.RESET
    return Change.SAME


def _fell(view: View, old: Row, new: Row) -> bool:
    pairs = ((old[name], new[name]) for name in view.counters)
    return any(a is not None and b is not None and b < a for a, b in pairs)


def _grown(base: Row, new: Row, name: str) -> Number | None:
    value: Number | None = new[name]
    if value is None or name not in base:
        return value
    start: Number | None = base[name]
    # Measured at one end only (track_io_timing was switched): not measured.
    return None if start is None else value - start
