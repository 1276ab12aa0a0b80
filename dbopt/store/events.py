"""Events in the store: what happened, and when; partitioned by day."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import copy_into, fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.store.frame import Event, Target
from dbopt.store.text import plain_json, storable

COLUMNS = ("at", "server", "database", "kind", "object", "message", "data")


async def append(conn: AsyncConnection, events: Sequence[Event]) -> int:
    """Store events; gives how many.

    Raises StoreMissing without the schema, else ServerLost or QueryFailed.
    """
    with translated("Storing events", store=True):
        unicode = holds_unicode(conn)
        values = (_values(event, unicode) for event in events)
        return await copy_into(conn, ("dbopt", "event"), COLUMNS, values)


def _values(event: Event, unicode: bool) -> tuple[Any, ...]:
    words = (event.target.server, event.target.database, event.kind, event.object, event.message)
    return (
        event.at,
        *(storable(word, unicode=unicode) for word in words),
        json.dumps(plain_json(event.data, unicode=unicode)),
    )


async def read(
    conn: AsyncConnection,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    kinds: Collection[str] = (),
    target: Target | None = None,
    limit: int = 1000,
) -> list[Event]:
    """Events in `since` <= at < `until`, the newest first, of some `kinds` (none: all).

    `target` with database "" is every database of its server. Raises as `append` does.
    """
    params = {
        "since": since,
        "until": until,
        "kinds": sorted(kinds) or None,
        "server": target.server if target else None,
        "database": (target.database or None) if target else None,
        "limit": limit,
    }
    with translated("Reading events", store=True):
        return [_event(row) for row in await fetch(conn, "store_events", params)]


def _event(row: Row) -> Event:
    target = Target(row["server"], row["database"])
    return Event(row["at"], target, row["kind"], row["object"], row["message"], row["data"])
