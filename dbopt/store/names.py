"""Names in the store: the numbers that stand for targets, layouts and entities, remembered.

What is remembered is true once the transaction that made it has been committed: after any
failure `forget` it. Upserts are sorted, so that two writers cannot deadlock.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch, holds_unicode
from dbopt.store.bigint import signed
from dbopt.store.frame import Frame, Key, Target
from dbopt.store.text import plain_json, storable

TOUCH = timedelta(hours=12)
"""An entity's last_seen is moved that often."""
MOST_ENTITIES = 200_000
"""Remembered at once, some 100 MB; beyond, all are forgotten and asked for again."""
MOST_TEXTS = 20_000
_LONGEST = 400
"""Characters of one word of a key; B-tree entries are bounded."""

Layout = tuple[str, tuple[str, ...], tuple[str, ...], bool]
"""View, counters, gauges, additive."""


@dataclass(slots=True)
class _Known:
    id: int
    touched: datetime


@dataclass(slots=True)
class _Found:
    """What is to be upserted: keys that are written alike are one entity."""

    keys: list[Key]
    labels: str | None
    at: datetime
    weight: int = 0


def layout_of(frame: Frame) -> Layout:
    """The columns of a frame."""
    return (frame.view, frame.counters, frame.gauges, frame.additive)


def written_key(key: Key, *, unicode: bool = True) -> str:
    """A key as it is stored: a JSON array, in ASCII. For `unicode` see storable."""
    return json.dumps([_word(part, unicode) for part in key], separators=(",", ":"))


def _word(part: int | str, unicode: bool) -> int | str:
    if isinstance(part, int):
        return int(part)
    # An escape is of ten characters at most.
    clean = storable(part, 10 * len(part), unicode=unicode)
    if len(clean) <= _LONGEST:
        return clean
    digest = blake2b(clean.encode(), digest_size=16).hexdigest()
    return f"{clean[:_LONGEST]}...{digest}"


def read_key(text: str) -> Key:
    """A stored key."""
    return tuple(json.loads(text))


class Names:
    """What the store calls targets, layouts and entities, by what they are."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Ask for everything again: what was noted may never have been committed."""
        self._targets: dict[Target, int] = {}
        self._layouts: dict[Layout, int] = {}
        self._entities: dict[tuple[int, str], dict[Key, _Known]] = {}
        self._texts: dict[int, datetime] = {}

    async def targets(self, conn: AsyncConnection, wanted: Collection[Target]) -> dict[Target, int]:
        """Their numbers; made where they are missing."""
        missing = sorted(set(wanted) - self._targets.keys())
        if missing:
            unicode = holds_unicode(conn)
            servers = [storable(target.server, unicode=unicode) for target in missing]
            databases = [storable(target.database, unicode=unicode) for target in missing]
            params = {"servers": servers, "databases": databases}
            await fetch(conn, "store_targets_make", params)
            rows = await fetch(conn, "store_targets_find", params)
            found = {(row["server"], row["database"]): int(row["id"]) for row in rows}
            for target, names in zip(missing, zip(servers, databases, strict=True), strict=True):
                self._targets[target] = found[names]
        return {target: self._targets[target] for target in wanted}

    async def layouts(self, conn: AsyncConnection, wanted: Collection[Layout]) -> dict[Layout, int]:
        """Their numbers; made where they are missing."""
        for layout in sorted(set(wanted) - self._layouts.keys()):
            view, counters, gauges, additive = layout
            params = {
                "view": view, "counters": list(counters), "gauges": list(gauges),
                "additive": additive,
            }  # fmt: skip
            await fetch(conn, "store_layout_make", params)
            rows = await fetch(conn, "store_layout_find", params)
            self._layouts[layout] = int(rows[0]["id"])
        return {layout: self._layouts[layout] for layout in wanted}

    async def entities(self, conn: AsyncConnection, frames: Sequence[tuple[int, Frame]]) -> None:
        """Make sure that `ids` knows every entity of these (target's number, frame)."""
        if sum(map(len, self._entities.values())) > MOST_ENTITIES:
            self._entities.clear()
        found: dict[tuple[int, str, str], _Found] = {}
        unicode = holds_unicode(conn)
        for target, frame in frames:
            known = self._entities.setdefault((target, frame.view), {})
            for key in _keys(frame):
                entity, labels = known.get(key), frame.labels.get(key)
                if entity is None or labels is not None or frame.at - entity.touched > TOUCH:
                    place = (target, frame.view, written_key(key, unicode=unicode))
                    one = found.setdefault(place, _Found([], None, frame.at))
                    one.keys.append(key)
                    one.at = frame.at
                    one.weight = _weight(frame, key)
                    if labels is not None:
                        one.labels = json.dumps(plain_json(labels, unicode=unicode))
        if found:
            await self._upsert(conn, found)

    async def _upsert(
        self,
        conn: AsyncConnection,
        found: Mapping[tuple[int, str, str], _Found],
    ) -> None:
        # The busiest get the first numbers, so that those with large values stand together in
        # their columns, and compress better. No deadlock: who writes has locked the targets.
        places = sorted(found, key=lambda place: (*place[:2], -found[place].weight, place[2]))
        params = {
            "targets": [target for target, _, _ in places],
            "views": [view for _, view, _ in places],
            "keys": [key for _, _, key in places],
            "labels": [found[place].labels for place in places],
            "at": [found[place].at for place in places],
        }
        for row in await fetch(conn, "store_entities", params):
            place = (int(row["target_id"]), str(row["view"]), str(row["key"]))
            known = _Known(int(row["id"]), found[place].at)
            self._entities[place[:2]].update(dict.fromkeys(found[place].keys, known))

    def ids(self, target: int, view: str, keys: Iterable[Key]) -> list[int]:
        """The numbers of entities that are known."""
        known = self._entities[target, view]
        return [known[key].id for key in keys]

    async def texts(self, conn: AsyncConnection, texts: Mapping[int, str], now: datetime) -> None:
        """Keep statements' redacted texts, each at most once an hour."""
        if len(self._texts) > MOST_TEXTS:
            self._texts.clear()
        hour = timedelta(hours=1)
        new = sorted(
            number
            for number in texts
            if number not in self._texts or now - self._texts[number] > hour
        )
        if new:
            unicode = holds_unicode(conn)
            params: dict[str, Any] = {
                "fingerprints": [signed(number) for number in new],
                "texts": [storable(texts[number], unicode=unicode) for number in new],
            }
            await fetch(conn, "store_texts_keep", params)
            self._texts.update(dict.fromkeys(new, now))


def _weight(frame: Frame, key: Key) -> int:
    values = frame.base.get(key, ())[: len(frame.counters)]
    return sum(value.bit_length() for value in values if value)


def _keys(frame: Frame) -> Iterable[Key]:
    return {**frame.changed, **frame.base, **dict.fromkeys(frame.gone), **frame.labels}
