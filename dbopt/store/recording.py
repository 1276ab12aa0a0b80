"""Frames into the store: who writes remembers names and chains, and leaves out what is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import copy_into, fetch
from dbopt.pg.refusal import translated
from dbopt.store.block import MOST, measured, pack
from dbopt.store.chains import Chain, begin
from dbopt.store.frame import SAMPLED, Frame, Key, Target, Values
from dbopt.store.names import Names, layout_of

COLUMNS = (
    "at", "target_id", "layout_id", "seconds", "chain", "link", "reset", "changed", "base", "gone",
)  # fmt: skip
_LATELY = timedelta(days=1)
"""Where a view's last frame ended is looked for within this at first."""
_SLACK = timedelta(seconds=1)
"""By so much a frame may begin before the last one ended: periods are floating-point numbers."""

Place = tuple[int, str]
"""A target's number and a view."""
Chains = dict[tuple[int, int], Chain]
"""By a target's number and a layout's."""


class History:
    """Writes frames. One a writer; `skipped` counts frames whose time the store had already.

    `on_skip` hears of each: what it told of the time after, the store does not have.
    """

    def __init__(self, on_skip: Callable[[Target, str], None] = lambda *_: None) -> None:
        self._on_skip = on_skip
        self._names = Names()
        self._chains: Chains = {}
        self.skipped = 0

    def forget(self) -> None:
        """Forget what is in the store: after any transaction that was not committed."""
        self._names.forget()
        # Another one: a thread of a cancelled task may be at work on the old one.
        self._chains = {}

    async def write(
        self, conn: AsyncConnection, frames: Sequence[Frame], texts: Mapping[int, str]
    ) -> int:
        """Write frames and statements' texts in the caller's transaction; gives how many were new.

        A frame that is not additive is left out where the store has the time that it covers.
        After a failure, or a rollback, call `forget`. Raises StoreMissing without the schema,
        else ServerLost or QueryFailed.
        """
        # Of two times in one zone, Python compares what the clock on the wall says.
        frames = [replace(frame, at=frame.at.astimezone(UTC)) for frame in frames]
        with translated("Writing history", store=True):
            targets = await self._lock(conn, {frame.target for frame in frames})
            new = await self._new(conn, targets, frames)
            await self._names.entities(conn, [(targets[f.target], f) for f in frames])
            layouts = await self._names.layouts(conn, {layout_of(frame) for frame in new})
            rows = []
            for frame in new:
                place = (targets[frame.target], layouts[layout_of(frame)])
                # In a thread: a hundred thousand numbers take a while to pack.
                rows.append(await asyncio.to_thread(self._row, frame, self._chains, *place))
            if rows:
                await copy_into(conn, ("dbopt", "history"), COLUMNS, rows)
            await self._names.texts(conn, texts, datetime.now(UTC))
        return len(new)

    async def _lock(self, conn: AsyncConnection, wanted: set[Target]) -> dict[Target, int]:
        """Their numbers, and no other writer of them until the transaction ends."""
        if not wanted:
            return {}
        for attempt in (1, 2):
            targets = await self._names.targets(conn, wanted)
            ids = sorted(targets.values())
            found = await fetch(conn, "store_targets_lock", {"ids": ids})
            if len(found) == len(ids) or attempt == 2:
                break
            self.forget()  # The store is another than it was: made anew, or restored.
        return targets

    async def _new(
        self, conn: AsyncConnection, targets: Mapping[Target, int], frames: Sequence[Frame]
    ) -> list[Frame]:
        """The frames that the store has not; of one time there is one frame, unless they add up."""
        single = [frame for frame in frames if not _adds_up(frame)]
        places = {(targets[frame.target], frame.view) for frame in single}
        lately = min((frame.at for frame in single), default=None)
        ends: dict[Place, datetime] = {}
        for since in (lately and lately - _LATELY, None):
            ends |= await _ends(conn, sorted(places - ends.keys()), since)
        new = []
        for frame in frames:
            if not _adds_up(frame):
                place = (targets[frame.target], frame.view)
                end = ends.get(place)
                began = frame.at - timedelta(seconds=max(frame.seconds, 0.0))
                if end is not None and (frame.at <= end or began + _SLACK < end):
                    self.skipped += 1
                    self._on_skip(frame.target, frame.view)
                    continue
                ends[place] = frame.at
            new.append(frame)
        return new

    def _row(self, frame: Frame, chains: Chains, target: int, layout: int) -> tuple[Any, ...]:
        chain = chains.get((target, layout))
        if chain is not None and chain.goes_on(frame.at, layout):
            chain.link, chain.at = chain.link + 1, frame.at
        else:
            chain = begin(frame.at, layout, len(frame.gauges))
            chains[target, layout] = chain
        changed = self._block(frame, target, frame.changed, chain, whole=False)
        base = self._block(frame, target, frame.base, chain, whole=True)
        gone = None
        if frame.gone:
            ids = sorted(self._names.ids(target, frame.view, frame.gone))
            gone = pack([_steps(ids)])
        return (
            frame.at, target, layout, frame.seconds, chain.id, chain.link, frame.reset,
            changed, base, gone,
        )  # fmt: skip

    def _block(
        self, frame: Frame, target: int, values: Mapping[Key, Values], chain: Chain, *, whole: bool
    ) -> bytes | None:
        if not values:
            return None
        ids = self._names.ids(target, frame.view, values)
        # Two keys whose words were cut or cleaned alike are one entity: the last one counts.
        found = dict(sorted(zip(ids, values.values(), strict=True), key=lambda pair: pair[0]))
        columns = [_kept(column) for column in zip(*found.values(), strict=True)]
        first = len(frame.counters)
        for number in range(len(frame.gauges)):
            gauge = columns[first + number]
            if whole:
                chain.note(number, found, gauge)
            else:
                columns[first + number] = chain.differences(number, found, gauge)
        return pack([_steps(found), *columns])


async def _ends(
    conn: AsyncConnection, places: Sequence[Place], since: datetime | None
) -> dict[Place, datetime]:
    """When the last frame of each ended, of those that have one after `since`."""
    if not places:
        return {}
    params = {
        "targets": [target for target, _ in places], "views": [view for _, view in places],
        "since": since,
    }  # fmt: skip
    rows = await fetch(conn, "store_history_ends", params)
    return {(int(row["target_id"]), str(row["view"])): row["at"].astimezone(UTC) for row in rows}


def _adds_up(frame: Frame) -> bool:
    """Samples ÷ samples taken is right whoever took them, and however many in a second."""
    return frame.additive or frame.view in SAMPLED


def _steps(ids: Iterable[int]) -> list[int]:
    """Each number less the one before."""
    steps, last = [], 0
    for number in ids:
        steps.append(number - last)
        last = number
    return steps


def _kept(column: Sequence[int | None]) -> list[int | None]:
    """Half of what a block can hold, so that a difference of two fits."""
    most = MOST // 2
    known = measured(column)
    if not known or (max(known) <= most and min(known) >= -most):
        return list(column)
    return [None if v is None else max(-most, min(v, most)) for v in column]
