"""One migration at a time: a session advisory lock, taken by polling.

A session that *waits* in pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY of the
lock's holder waits for that snapshot: a deadlock. pg_try_advisory_lock never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from dbopt import clock
from dbopt.errors import MigrationBusy
from dbopt.pg.connect import Connection, Row
from dbopt.pg.sqlfile import statement

KEY = 0x6462_6F70_745F_6D67
"""The lock's 64-bit key: "dbopt_mg" in ASCII."""

Waiting = Callable[[str], None]
"""Is told who holds the lock: once, and again when it is somebody else."""

ASK_AGAIN = 5.0
"""Seconds between two looks at who holds the lock that is waited for."""


def take(connection: Connection, wait: float, waiting: Waiting | None = None) -> None:
    """Take the lock for the session, which is in autocommit; `wait` seconds at most, 0: at once.

    Raises MigrationBusy that says who holds it.
    """
    deadline = clock.monotonic() + wait
    delays = clock.backoff(first=0.05, most=1.0, jitter=0.5)
    told, ask = "", 0.0
    while not _try(connection):
        now = clock.monotonic()
        if now >= deadline:
            raise _busy(connection, wait)
        if waiting and now >= ask:
            ask = now + ASK_AGAIN
            told = _tell(holder(connection), told, waiting)
        time.sleep(min(next(delays), deadline - now))


def give_back(connection: Connection) -> None:
    """Give the session's lock back, if it still has a session."""
    if not connection.broken and not connection.closed:
        connection.execute("SELECT pg_advisory_unlock(%s)", (KEY,))


def is_held(connection: Connection) -> bool:
    """Whether this session holds the lock."""
    row = connection.execute(statement("migration_lock_held"), {"key": KEY}).fetchone()
    return bool(row and row["held"])


def holder(connection: Connection) -> str:
    """Who holds the lock, in words."""
    rows = connection.execute(statement("migration_lock_holder"), {"key": KEY}).fetchall()
    return ", ".join(map(_describe, rows)) or "its session has just ended"


def _tell(who: str, told: str, waiting: Waiting) -> str:
    """Tell of a holder that was not told of; the pid that has been told of."""
    pid = who.partition(" user")[0].partition(",")[0]
    if pid != told and pid.startswith("pid"):
        waiting(who)
        return pid
    return told


def _busy(connection: Connection, wait: float) -> MigrationBusy:
    since = f" has run for {wait:g} s or more" if wait else " runs"
    return MigrationBusy(
        f"Another migration{since}: {holder(connection)}.",
        hint="Wait for it to end, or raise migrate.lock_wait.",
    )


def _try(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", (KEY,)).fetchone()
    return bool(row and row["taken"])


def _describe(row: Row) -> str:
    words = [f"pid {row['pid']}"]
    words += [f"{key} {row[key]}" for key in ("user", "application", "address") if row[key]]
    return f"{' '.join(words)}, {_age(row['seconds'])}" if row["seconds"] else " ".join(words)


def _age(seconds: float) -> str:
    words = f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"
    return f"whose session began {words} ago"
