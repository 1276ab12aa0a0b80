"""Partitions by UTC day: made ahead, dropped when they are old; whoever comes first does it.

Inserts never wait for a partition to be made: what has none yet falls into the default one, and
is moved out of it when its day's is made. A lock that does not come at once is left for the next
time, since writers would wait behind us.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from dbopt.errors import DboptError, QueryFailed, StoreMissing
from dbopt.pg.attach import attach_range
from dbopt.pg.connect import AsyncConnection
from dbopt.pg.fetch import fetch
from dbopt.pg.refusal import translated

TABLES = ("history", "slow_statement", "event")
AHEAD = 2
"""Days after today."""
LOCK_TIMEOUT = 0.3
"""Seconds."""


@dataclass(slots=True)
class Kept:
    """What was done: partitions made and dropped, by name; `error` says what must wait, and why."""

    made: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    error: str = ""


async def keep(conn: AsyncConnection, now: datetime, retention_days: float) -> Kept | None:
    """Make the partitions of today and the next days, drop those older than `retention_days`.

    `now` says what today is. Texts, plans and entities that nothing kept can need go too. What
    cannot be done now, because a lock did not come or our role may not, is told in the result;
    None where another sidecar is at it. Raises StoreMissing, ServerLost or QueryFailed where
    nothing can be read.
    """
    kept, before = Kept(), now - timedelta(days=retention_days)
    for table in TABLES:
        with translated("Reading the store's partitions", store=True):
            found = await fetch(conn, "store_partitioned", {"table": table})
        if not found or not found[0]["partitioned"]:
            raise StoreMissing(
                "The store has no schema dbopt, or an old one.", hint="Run `dbopt migrate upgrade`."
            )
        if not found[0]["owned"]:
            kept.error = _not_ours(table)
            continue
        if not await _table(conn, table, now, before, kept):
            return None
    try:
        with translated("Expiring the store's history", store=True):
            await fetch(conn, "store_expire_rest", {"before": before})
    except QueryFailed as error:
        kept.error = kept.error or str(error)
    return kept


def _not_ours(table: str) -> str:
    return (
        f"dbopt.{table} belongs to another role: it gets no partitions and nothing old is dropped. "
        "Run `dbopt migrate upgrade` with the daemon's role, or grant it the owner's."
    )


async def _table(
    conn: AsyncConnection, table: str, now: datetime, before: datetime, kept: Kept
) -> bool:
    """Look after one table; False where another sidecar does."""
    with translated("Reading the store's partitions", store=True):
        rows = await fetch(conn, "store_partitions", {"table": table})
        days = await _wanted(conn, table, now, before)
    there = {row["day"]: row["name"] for row in rows}
    for day in sorted(days - {_day(text) for text in there}):
        try:
            if not await _make(conn, table, day, kept):
                return False
        except QueryFailed as error:
            kept.error = str(error)
    for text, name in there.items():
        # All of the day is older.
        if datetime.combine(_day(text) + timedelta(days=1), time(), UTC) <= before:
            await _drop(conn, name, kept)
    return True


def _day(text: str) -> date:
    return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC).date()


async def _wanted(conn: AsyncConnection, table: str, now: datetime, before: datetime) -> set[date]:
    """The days that shall have a partition; what is too old goes from the default one."""
    default = f"{table}_default"
    today = now.astimezone(UTC).date()
    ahead = {today + timedelta(days=n) for n in range(AHEAD + 1)}
    if (await fetch(conn, "store_default_empty", default=default))[0]["empty"]:
        return ahead
    oldest = datetime.combine(before.astimezone(UTC).date(), time(), UTC)
    await fetch(conn, "store_default_expire", {"before": oldest}, default=default)
    late = await fetch(conn, "store_default_days", default=default)
    return ahead | {row["day"] for row in late if row["day"] <= today + timedelta(days=AHEAD)}


async def _make(conn: AsyncConnection, table: str, day: date, kept: Kept) -> bool:
    """Make one day's partition, in a transaction; False where another sidecar is at it."""
    name, default = f"{table}_{day:%Y%m%d}", f"{table}_default"
    since = datetime.combine(day, time(), UTC)
    until = since + timedelta(days=1)
    with translated(f"Making the partition dbopt.{name}", store=True):
        async with conn.transaction():
            await _impatient(conn)
            if not (await fetch(conn, "store_partitions_alone"))[0]["alone"]:
                return False
            if await fetch(conn, "store_partitioned", {"table": name}):
                return True  # Another has made it meanwhile.
            await fetch(conn, "store_partition_make", child=name, parent=table)
            await fetch(conn, "store_default_lock", default=default)
            params = {"since": since, "until": until}
            await fetch(conn, "store_default_move", params, child=name, default=default)
            await attach_range(conn, ("dbopt", table), ("dbopt", name), since, until)
    kept.made.append(name)
    return True


async def _drop(conn: AsyncConnection, name: str, kept: Kept) -> None:
    try:
        with translated(f"Dropping the partition dbopt.{name}", store=True):
            async with conn.transaction():
                await _impatient(conn)
                await fetch(conn, "store_partition_drop", child=name)
    except DboptError as error:
        kept.error = str(error)
    else:
        kept.dropped.append(name)


async def _impatient(conn: AsyncConnection) -> None:
    await fetch(conn, "store_lock_timeout", {"timeout": f"{LOCK_TIMEOUT * 1000:.0f}"})
