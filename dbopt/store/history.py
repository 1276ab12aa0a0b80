"""History in the store, read back: frames as they were written, and what they add up to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.store.bigint import signed, unsigned
from dbopt.store.chains import LONGEST
from dbopt.store.decoding import Decoded, Decoder
from dbopt.store.frame import Frame, Key, Standing, Target, Values
from dbopt.store.names import Layout, read_key
from dbopt.store.text import storable
from dbopt.store.totals import Total, Totals

__all__ = ["Total", "read", "resume", "targets", "texts", "times", "total"]

_WINDOW = timedelta(hours=1)
"""Of history, read at once."""
_BASE_WITHIN = timedelta(hours=2)
"""Before a view's last frame there is a full base within this, see Frame: about once an hour."""


def read(
    conn: AsyncConnection,
    target: Target,
    views: Collection[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
) -> AsyncIterator[Frame]:
    """Frames with `since` < at <= `until`, of some `views` (none: all), in order of time.

    A day may be a million rows: they come as they are read, `async for frame in read(...)`, and
    the connection is free in between. The first frame that has an entity brings its labels, as
    they are now. Raises StoreMissing without the schema, else ServerLost or QueryFailed.
    """
    return _Reading(conn, target, views, since, until).frames()


async def total(
    conn: AsyncConnection, target: Target, view: str, since: datetime, until: datetime
) -> Total | None:
    """What a view's frames with `since` < at <= `until` add up to; None where there are none.

    Layouts may differ: a column that only some frames have counts in those. Raises as `read`.
    """
    reading = _Reading(conn, target, (view,), since, until)
    totals = Totals(target, view)
    async for row, layout, (changed, base, gone) in reading.rows():
        totals.add(row, layout, changed, base, gone)
    return totals.result(reading.named)


async def resume(conn: AsyncConnection, target: Target, view: str) -> Standing | None:
    """Where the history of a view ends: what its next frame is compared with; None without one.

    It is the last frames added up, since there is a full base every hour. Raises as `read`.
    """
    with translated("Reading history", store=True):
        number = await _target(conn, target)
        params = {"targets": [number], "views": [view], "since": None}
        rows = await fetch(conn, "store_history_ends", params) if number is not None else []
    if not rows:
        return None
    at = _utc(rows[0]["at"])
    standing: Standing | None = None
    async for frame in read(conn, target, (view,), at - _BASE_WITHIN, at):
        if standing is None or (standing.counters, standing.gauges) != (
            frame.counters, frame.gauges,
        ):  # fmt: skip
            standing = Standing(frame.at, frame.counters, frame.gauges)
        standing.follow(frame)
    return standing


async def targets(conn: AsyncConnection) -> list[Target]:
    """Whose history there is. Raises as `read`."""
    with translated("Listing the history", store=True):
        rows = await fetch(conn, "store_targets")
    return [Target(row["server"], row["database"]) for row in rows]


async def times(
    conn: AsyncConnection,
    target: Target,
    view: str,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[datetime]:
    """When the frames of a view ended, `since` < at <= `until`, in order. Raises as `read`."""
    with translated("Listing the history", store=True):
        layouts = await _layouts(conn, (view,))
        params = {
            "target": await _target(conn, target), "layouts": list(layouts),
            "since": since, "until": until,
        }  # fmt: skip
        return [_utc(row["at"]) for row in await fetch(conn, "store_history_times", params)]


async def texts(conn: AsyncConnection, fingerprints: Collection[int]) -> dict[int, str]:
    """Redacted statements by fingerprint, those that are known. Raises as `read`."""
    params = {"fingerprints": [signed(number) for number in fingerprints]}
    with translated("Reading statements", store=True):
        rows = await fetch(conn, "store_texts_of", params)
    return {unsigned(row["fingerprint"]): row["text"] for row in rows}


def _utc(at: datetime) -> datetime:
    """Of two times in one zone, Python compares what the clock on the wall says."""
    return at.astimezone(UTC)


async def _target(conn: AsyncConnection, target: Target) -> int | None:
    unicode = holds_unicode(conn)
    words = storable(target.server, unicode=unicode), storable(target.database, unicode=unicode)
    rows = await fetch(conn, "store_target", dict(zip(("server", "database"), words, strict=True)))
    return int(rows[0]["id"]) if rows else None


async def _layouts(conn: AsyncConnection, views: Collection[str]) -> dict[int, Layout]:
    rows = await fetch(conn, "store_layouts", {"views": sorted(views) or None})
    return {
        row["id"]: (row["view"], tuple(row["counters"]), tuple(row["gauges"]), row["additive"])
        for row in rows
    }


@dataclass(slots=True)
class _Reading:
    """One pass over a target's history. `named` are the entities that it met."""

    conn: AsyncConnection
    target: Target
    views: Collection[str]
    since: datetime | None
    until: datetime | None
    named: dict[int, tuple[Key, Mapping[str, Any]]] = field(default_factory=dict)
    _met: set[int] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.since = None if self.since is None else _utc(self.since)
        self.until = None if self.until is None else _utc(self.until)

    async def frames(self) -> AsyncIterator[Frame]:
        """As they were written."""
        async for row, layout, parts in self.rows():
            yield self._frame(row, layout, *parts)

    async def rows(
        self,
    ) -> AsyncIterator[tuple[Row, Layout, tuple[Decoded | None, Decoded | None, list[int]]]]:
        """Rows after `since`, decoded, in order of time."""
        with translated("Reading history", store=True):
            number = await _target(self.conn, self.target)
            layouts = await _layouts(self.conn, self.views)
        if number is None or not layouts:
            return
        decoder = Decoder(layouts)
        # A chain that goes on after `since` has begun before it.
        at = None if self.since is None else self.since - LONGEST
        while window := await self._window(number, layouts, at):
            at = window[1]
            for row in window[0]:
                row["at"] = _utc(row["at"])
                parts = decoder.row(row)
                if self.since is None or row["at"] > self.since:
                    await self._learn(parts)
                    yield row, layouts[row["layout_id"]], parts

    async def _window(
        self, target: int, layouts: Iterable[int], after: datetime | None
    ) -> tuple[list[Row], datetime] | None:
        """The rows of the next hour in which there are any, and its end."""
        params: dict[str, Any] = {
            "target": target, "layouts": list(layouts), "since": after, "until": self.until,
        }  # fmt: skip
        with translated("Reading history", store=True):
            found = await fetch(self.conn, "store_history_next", params)
            if found[0]["at"] is None:
                return None
            first = _utc(found[0]["at"])
            end = first + _WINDOW if self.until is None else min(first + _WINDOW, self.until)
            params |= {"since": first - timedelta(microseconds=1), "until": end}
            return await fetch(self.conn, "store_history_rows", params), end

    async def _learn(self, parts: tuple[Decoded | None, Decoded | None, Sequence[int]]) -> None:
        """Ask for the names of entities that are not known yet, of which a view may have a million
        over the days.
        """
        changed, base, gone = parts
        ids = {*gone, *(changed.ids if changed else ()), *(base.ids if base else ())}
        missing = ids - self.named.keys()
        if not missing:
            return
        with translated("Reading history", store=True):
            rows = await fetch(self.conn, "store_entities_of", {"ids": sorted(missing)})
        # One that has been deleted by hand has no name: let its number stand for it.
        self.named |= {number: ((number,), {}) for number in missing}
        self.named |= {row["id"]: (read_key(row["key"]), row["labels"]) for row in rows}

    def _frame(
        self, row: Row, layout: Layout, changed: Decoded | None, base: Decoded | None,
        gone: list[int],
    ) -> Frame:  # fmt: skip
        view, counters, gauges, additive = layout
        parts: list[dict[Key, Values]] = []
        labels: dict[Key, Mapping[str, Any]] = {}
        for part in (changed, base):
            ids = part.ids if part else ()
            values = part.values(len(counters)) if part else iter(())
            parts.append({self.named[n][0]: v for n, v in zip(ids, values, strict=True)})
            for number in ids:
                if number not in self._met:
                    self._met.add(number)
                    if self.named[number][1]:
                        labels[self.named[number][0]] = self.named[number][1]
        return Frame(
            self.target, view, row["at"], row["seconds"], counters, gauges, parts[0], parts[1],
            tuple(self.named[number][0] for number in gone), labels, row["reset"], additive,
        )  # fmt: skip
