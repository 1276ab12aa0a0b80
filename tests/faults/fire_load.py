"""A load of writers and readers through the gateway, and what it suffers while indexes are built.

The application's role has the configured lock_timeout, so that a statement which is blocked for
longer ends with an error: "no error" says both. The longest wait is what pg_locks shows at each
look, or the server's log (log_lock_waits) where that says more: it misses none above LOGGED. The
slowest statement is timed at the client, so its time in the gateway and on a busy machine counts.
"""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

WRITERS, READERS = 2, 2
PAUSE = 0.01
"""Seconds between two units of one client: a load, and not the machine's limit."""
LOOK = 0.02
"""Seconds between two looks at the locks."""

WAITS = """
SELECT extract(epoch FROM clock_timestamp() - l.waitstart)::float8 AS waited
  FROM pg_locks l
  JOIN pg_stat_activity a USING (pid)
 WHERE NOT l.granted AND a.usename = 'app' AND a.datname = current_database()
"""
READS = (
    "SELECT count(*), max(total) FROM orders WHERE customer = %(n)s",
    "SELECT id FROM orders WHERE state = 'open' AND customer = %(n)s ORDER BY id LIMIT 5",
    "SELECT count(*) FROM events WHERE kind = %(k)s AND at < '2026-02-01'",
    "SELECT o.id FROM orders o JOIN events e ON e.customer = o.customer WHERE o.id = %(n)s LIMIT 3",
)
WRITES: Sequence[tuple[str, ...]] = (
    ("UPDATE orders SET total = total + 1 WHERE id = %(n)s",),
    ("INSERT INTO orders (customer, state, number) VALUES (%(n)s, 'open', nextval('numbers'))",),
    ("INSERT INTO events (at, kind, customer) VALUES ('2026-01-05', %(k)s, %(n)s)",),
    (
        "UPDATE orders SET state = 'done' WHERE id = %(n)s",
        "INSERT INTO events (at, kind, customer) VALUES ('2026-02-05', %(k)s, %(n)s)",
    ),
    ("DELETE FROM events WHERE customer = %(n)s AND at >= '2026-02-01'",),
)


@dataclass(slots=True)
class Suffered:
    """What the application has met: errors by SQLSTATE, and seconds of its longest waits."""

    statements: int = 0
    slowest: float = 0.0
    longest_lock_wait: float = 0.0
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: Suffered) -> None:
        """Count what was met in another scene too."""
        self.statements += other.statements
        self.slowest = max(self.slowest, other.slowest)
        self.longest_lock_wait = max(self.longest_lock_wait, other.longest_lock_wait)
        self.errors += other.errors


class Load:
    """Clients in threads, until `stop`. They come back when their connection was lost."""

    def __init__(self, dsn: str, direct: str, seed: int = 1) -> None:
        self.suffered = Suffered()
        self._dsn = dsn
        self._direct = direct
        self._stop = threading.Event()
        self._lock = threading.Lock()
        clients = [
            threading.Thread(target=self._client, args=(seed + number, number < WRITERS))
            for number in range(WRITERS + READERS)
        ]
        self._threads = [*clients, threading.Thread(target=self._watch)]

    def start(self) -> None:
        """Start them all."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> Suffered:
        """End them all; what they met."""
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
            assert not thread.is_alive(), "a client of the load hangs"
        return self.suffered

    def _client(self, seed: int, writes: bool) -> None:
        luck = random.Random(seed)  # noqa: S311 - no secret
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._dsn, autocommit=True) as connection:
                    while not self._stop.wait(PAUSE):
                        self._unit(connection, luck, writes)
            except psycopg.Error as error:
                self._failed(error)
                self._stop.wait(0.1)

    def _unit(self, connection: psycopg.Connection[Any], luck: random.Random, writes: bool) -> None:
        values = {"n": luck.randrange(1, 5000), "k": luck.randrange(50)}
        statements = luck.choice(WRITES) if writes else (luck.choice(READS),)
        if len(statements) == 1:
            self._timed(connection, statements[0], values)
            return
        with connection.transaction():
            for statement in statements:
                self._timed(connection, statement, values)

    def _timed(
        self, connection: psycopg.Connection[Any], statement: str, values: dict[str, int]
    ) -> None:
        began = time.monotonic()
        connection.execute(statement, values)
        took = time.monotonic() - began
        with self._lock:
            self.suffered.statements += 1
            self.suffered.slowest = max(self.suffered.slowest, took)

    def _failed(self, error: psycopg.Error) -> None:
        with self._lock:
            self.suffered.errors[error.sqlstate or type(error).__name__] += 1

    def _watch(self) -> None:
        while not self._stop.is_set():
            try:
                with psycopg.connect(self._direct, autocommit=True) as connection:
                    while not self._stop.wait(LOOK):
                        for (waited,) in connection.execute(WAITS).fetchall():
                            longest = max(self.suffered.longest_lock_wait, waited or 0.0)
                            self.suffered.longest_lock_wait = longest
            except psycopg.Error:
                self._stop.wait(0.1)


LOGGED = 0.2
"""Seconds: the deadlock_timeout of the server, after which it logs a wait."""
_waited = re.compile(r"^(\w+)\|app\|.* process \d+ .* after ([\d.]+) ms").match


def longest_logged(log: Path, database: str) -> float:
    """Seconds of the longest wait for a lock that the server has logged of the application."""
    with log.open(errors="replace") as lines:
        found = [match for match in map(_waited, lines) if match and match[1] == database]
    return max((float(match[2]) / 1000 for match in found), default=0.0)


@contextmanager
def loaded(dsn: str, direct: str) -> Iterator[Load]:
    """The load, while the body runs. `dsn` leads through the gateway, as the role app."""
    load = Load(dsn, direct)
    load.start()
    try:
        yield load
    finally:
        load.stop()
