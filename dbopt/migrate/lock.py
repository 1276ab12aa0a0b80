"""One migration at a time: a session advisory lock, taken by polling.

A session that *waits* in pg_advisory_lock holds a snapshot, and CREATE INDEX CONCURRENTLY of the
lock's holder waits for that snapshot: a deadlock. pg_try_advisory_lock never waits.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dbopt import clock
from dbopt.errors import MigrationError
from dbopt.pg.connect import Connection, Row
from dbopt.pg.sqlfile import statement

KEY = 0x6462_6F70_745F_6D67
"""The lock's 64-bit key: "dbopt_mg" in ASCII."""

Waiting = Callable[[str], None]
"""Is told once in each wait who holds the lock."""


@contextmanager
def migration_lock(
    connection: Connection, wait: float, waiting: Waiting | None = None
) -> Iterator[None]:
    """Hold the lock on an autocommit connection; wait at most `wait` seconds for it.

    Raises MigrationError that says who holds it.
    """
    deadline = clock.monotonic() + wait
    delays = clock.backoff(first=0.05, most=1.0, jitter=0.5)
    told = False
    while not _try(connection):
        left = deadline - clock.monotonic()
        if left <= 0:
            raise MigrationError(
                f"Another migration has run for {wait:g} s or more: {holder(connection)}.",
                hint="Wait for it to end, or raise migrate.lock_wait.",
            )
        if waiting and not told:
            waiting(holder(connection))
            told = True
        time.sleep(min(next(delays), left))
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (KEY,))


def holder(connection: Connection) -> str:
    """Who holds the lock, in words."""
    rows = connection.execute(statement("index_lock_holder"), {"key": KEY}).fetchall()
    return ", ".join(map(_describe, rows)) or "its session has just ended"


def _try(connection: Connection) -> bool:
    row = connection.execute("SELECT pg_try_advisory_lock(%s) AS taken", (KEY,)).fetchone()
    return bool(row and row["taken"])


def _describe(row: Row) -> str:
    words = [f"pid {row['pid']}"]
    words += [f"{key} {row[key]}" for key in ("user", "application", "address") if row[key]]
    return " ".join(words)
