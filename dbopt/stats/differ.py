"""The differ: what a view said, compared with what it said before. PURE.

Counters only grow. One that went down was reset in between (by a person, a crash, an eviction
and return), and so was one whose reset time moved: its new value alone is what is known of the
period. What was not looked at before, since only the most active rows were kept, says nothing of
the period: where it stands is noted, for the next time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from dbopt.pg.connect import Row
from dbopt.sql.findings import Severity
from dbopt.stats.view import Collected, View
from dbopt.store.frame import Frame, Key, Standing, Target, Values

FULL_EVERY = 3600.0
"""Seconds after which a frame's base holds every entity again."""
REMEMBERED = 3600.0
"""Seconds that an entity which is not among the most active is remembered."""


class Differ:
    """One view of one target. `standing` is where the store's history ends, if it is known."""

    def __init__(self, view: View, target: Target, standing: Standing | None = None) -> None:
        self.view = view
        self.target = target
        self.standing = None if standing is None else _aligned(standing, view)
        self._partial = standing is not None  # what was left out then is not known
        self._full_at: datetime | None = None
        self._seen: dict[Key, datetime] = {}
        self._started_at: datetime | None = None
        # What began after `at`, while the view was read, and is counted already.
        self._early: dict[Key, datetime] = {}
        self._early_reset: datetime | None = None

    def frame(self, collected: Collected, at: datetime, started_at: datetime) -> Frame | None:
        """What is new since the last time; None where the time has not gone on.

        `at` and `started_at` (when the server was) are the server's clock.
        """
        rows = {self._key(row): row for row in collected.rows}
        before = self.standing
        if before is not None and at <= before.at:
            return None
        values = {key: self._values(row) for key, row in rows.items()}
        elsewhere = before is not None and self._elsewhere(before, started_at)
        reset = before is not None and self._reset(before, values, collected, started_at)
        reset = reset or elsewhere
        changed, base = self._compared(None if elsewhere else before, rows, values, reset)
        if self._full_at is None or (at - self._full_at).total_seconds() >= FULL_EVERY:
            base, self._full_at = dict(values), at
        frame = Frame(
            self.target, self.view.name, at,
            (at - before.at).total_seconds() if before is not None else 0.0,
            self.view.counters, self.view.gauges, changed, base,
            self._gone(before, values, collected.truncated, at),
            self._labels(before, rows), reset,
        )  # fmt: skip
        self._follow(frame, values, collected)
        self._note(collected, rows, at, started_at)
        return frame

    def _key(self, row: Row) -> Key:
        return tuple(int(v) if isinstance(v, bool) else v for v in map(row.get, self.view.key))  # type: ignore[misc]

    def _values(self, row: Row) -> Values:
        return tuple(row[name] for name in self.view.counters + self.view.gauges)

    def _elsewhere(self, before: Standing, started_at: datetime) -> bool:
        """Whether another server answers at that address, which was there before: a failover.

        Of what its counters grew by since, nothing is known.
        """
        return self._started_at not in (None, started_at) and started_at <= before.at

    def _reset(
        self,
        before: Standing,
        values: Mapping[Key, Values],
        collected: Collected,
        started_at: datetime,
    ) -> bool:
        """Whether all counters began again: someone reset them, or a crash did."""
        told = collected.reset
        if told is not None and told > before.at and told != self._early_reset:
            return True
        if started_at <= before.at:
            return False
        width = len(self.view.counters)
        old = before.values
        return any(_fell(old[key], new, width) for key, new in values.items() if key in old)

    def _compared(
        self,
        before: Standing | None,
        rows: Mapping[Key, Row],
        values: Mapping[Key, Values],
        reset: bool,
    ) -> tuple[dict[Key, Values], dict[Key, Values]]:
        if before is None:
            return {}, dict(values)
        width = len(self.view.counters)
        changed: dict[Key, Values] = {}
        base: dict[Key, Values] = {}
        for key, new in values.items():
            old = before.values.get(key)
            since = rows[key].get("stats_since")
            began = since is not None and since > before.at and since != self._early.get(key)
            anew = reset or began
            if old is not None and not anew and not _fell(old, new, width):
                grown = _grown(old, new, width)
                if any(grown[:width]) or old[width:] != new[width:] or _began(old, new, width):
                    changed[key] = grown
                if _began(old, new, width):
                    base[key] = new
                continue
            base[key] = new
            if old is not None or anew or not self._partial:
                changed[key] = new
        return changed, base

    def _gone(
        self,
        before: Standing | None,
        values: Mapping[Key, Values],
        truncated: bool,
        at: datetime,
    ) -> tuple[Key, ...]:
        if before is None:
            return ()
        missing = (key for key in before.values if key not in values)
        if not truncated:
            return tuple(missing)
        seen = self._seen
        return tuple(
            key
            for key in missing
            if (at - seen.setdefault(key, before.at)).total_seconds() > REMEMBERED
        )

    def _labels(
        self, before: Standing | None, rows: Mapping[Key, Row]
    ) -> dict[Key, Mapping[str, Any]]:
        if not self.view.labels:
            return {}
        known = before.labels if before is not None else {}
        named = {key: {name: row[name] for name in self.view.labels} for key, row in rows.items()}
        return {key: labels for key, labels in named.items() if known.get(key) != labels}

    def _follow(self, frame: Frame, values: Mapping[Key, Values], collected: Collected) -> None:
        if self.standing is None:
            self.standing = Standing(frame.at, self.view.counters, self.view.gauges)
        standing = self.standing
        standing.values.update(values)
        for key in frame.gone:
            del standing.values[key]
            standing.labels.pop(key, None)
            self._seen.pop(key, None)
        standing.labels.update(frame.labels)
        standing.at = frame.at
        # What is merely not measured (INFO) hides columns, not rows.
        hidden = any(finding.severity > Severity.INFO for finding in collected.findings)
        self._partial = collected.truncated or hidden
        if collected.truncated:
            self._seen.update(dict.fromkeys(values, frame.at))
        else:
            self._seen.clear()

    def _note(
        self, collected: Collected, rows: Mapping[Key, Row], at: datetime, started_at: datetime
    ) -> None:
        self._started_at = started_at
        told = collected.reset
        self._early_reset = told if told is not None and told > at else None
        since = ((key, row.get("stats_since")) for key, row in rows.items())
        self._early = {key: began for key, began in since if began is not None and began > at}


def _aligned(standing: Standing, view: View) -> Standing:
    """The standing with the view's columns: another version of dbopt may have had others."""
    columns = view.counters + view.gauges
    if (standing.counters, standing.gauges) == (view.counters, view.gauges):
        return standing
    known = standing.counters + standing.gauges
    places = [known.index(name) if name in known else None for name in columns]
    values: dict[Key, Values] = {
        key: tuple(None if place is None else old[place] for place in places)
        for key, old in standing.values.items()
    }
    return Standing(standing.at, view.counters, view.gauges, values, standing.labels)


def _fell(old: Values, new: Values, width: int) -> bool:
    pairs = zip(old[:width], new[:width], strict=True)
    return any(a is not None and b is not None and b < a for a, b in pairs)


def _began(old: Values, new: Values, width: int) -> bool:
    """Whether a counter is measured now that was not, or the other way round."""
    return any((a is None) != (b is None) for a, b in zip(old[:width], new[:width], strict=True))


def _grown(old: Values, new: Values, width: int) -> Values:
    pairs = zip(old[:width], new[:width], strict=True)
    return (*(None if a is None or b is None else b - a for a, b in pairs), *new[width:])
