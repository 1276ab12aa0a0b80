"""Statements in quarantine: kept in the store, so that every sidecar of it and its next start
refuse them too. One row a (fingerprint, database); it ends by itself.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbopt.clock import Clock, wall
from dbopt.pg.connect import AsyncConnection, Row
from dbopt.pg.fetch import fetch, holds_unicode
from dbopt.pg.refusal import translated
from dbopt.sql.fingerprint import fingerprint_hex
from dbopt.store.bigint import signed, unsigned
from dbopt.store.text import storable

LONGEST_FOR = 366 * 86400.0
"""Seconds. What shall not run for longer belongs into guard.deny."""
LONGEST_REASON = 500
MOST_HELD = 1000
"""Rows read: whoever has more of them denies by a list."""
_KEPT = 7.0
"""Days for which a row that has ended is kept."""


@dataclass(frozen=True, slots=True)
class Quarantine:
    """One statement that may not run for a while; `database` is "" for every one.

    `created` and `expires` are epoch seconds of this machine's clock. `by` is the role of the
    store that put it there. `text` is redacted, "" where only its fingerprint was given.
    """

    fingerprint: int
    expires: float
    database: str = ""
    reason: str = ""
    by: str = ""
    created: float = 0.0
    text: str = ""

    def to_dict(self) -> dict[str, object]:
        """For JSON; times are epoch seconds."""
        return {
            "fingerprint": fingerprint_hex(self.fingerprint),
            "database": self.database,
            "reason": self.reason,
            "by": self.by,
            "created": round(self.created, 3),
            "expires": round(self.expires, 3),
            "query": self.text,
        }


async def add(
    conn: AsyncConnection,
    fingerprint: int,
    seconds: float,
    *,
    database: str = "",
    reason: str = "",
    text: str = "",
    clock: Clock = wall,
) -> Quarantine:
    """Put a statement into quarantine from now on; one that is there gets the new end.

    Raises StoreMissing without the table, else ServerLost or QueryFailed.
    """
    unicode = holds_unicode(conn)
    params = {
        "fingerprint": signed(fingerprint),
        "seconds": seconds,
        "database": storable(database, unicode=unicode),
        "reason": storable(reason, LONGEST_REASON, unicode=unicode),
        "text": storable(text, unicode=unicode),
        "kept": _KEPT,
    }
    with translated("Putting a statement into quarantine", store=True):
        async with conn.transaction():
            await fetch(conn, "quarantine_forget", params)
            rows = await fetch(conn, "quarantine_add", params)
    return _quarantine(rows[0], clock())


async def release(
    conn: AsyncConnection, fingerprint: int | None, *, clock: Clock = wall
) -> list[Quarantine]:
    """Let a statement run again, in every database; all of them where it is None.

    Gives what was released. Raises as `add` does.
    """
    params = {"fingerprint": None if fingerprint is None else signed(fingerprint)}
    with translated("Releasing from quarantine", store=True):
        rows = await fetch(conn, "quarantine_release", params)
    return [_quarantine(row, clock()) for row in rows]


async def held(conn: AsyncConnection, *, clock: Clock = wall) -> list[Quarantine]:
    """What is in quarantine now, what ends last first, MOST_HELD at most. Raises as `add` does."""
    with translated("Reading the quarantine", store=True):
        rows = await fetch(conn, "quarantine_held", {"most": MOST_HELD})
    return [_quarantine(row, clock()) for row in rows]


def _quarantine(row: Row, now: float) -> Quarantine:
    """The store's clock may differ from ours: it gives spans, and not times."""
    return Quarantine(
        fingerprint=unsigned(row["fingerprint"]),
        expires=now + float(row["remaining"]),
        database=row["database"],
        reason=row["reason"],
        by=row["by"],
        created=now - float(row["age"]),
        text=row["text"],
    )
