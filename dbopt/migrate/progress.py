"""How far an index build is and who holds it up, read on a second connection."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from dbopt.errors import DboptError
from dbopt.pg.connect import Connection, Row, connect
from dbopt.pg.ddl import ServerError
from dbopt.pg.sqlfile import statement

INTERVAL = 0.2
"""Seconds between two looks."""

# The phases of CREATE INDEX CONCURRENTLY (docs: progress-reporting), each with the share of the
# whole at which it begins and ends. Both scans of the table take most of the time.
_PHASES: tuple[tuple[str, float, float], ...] = (
    ("initializing", 0.0, 0.0),
    ("waiting for writers before build", 0.0, 0.02),
    ("building index: scanning table", 0.02, 0.4),
    ("building index: sorting live tuples", 0.4, 0.4),
    ("building index: loading tuples in tree", 0.4, 0.6),
    ("building index", 0.02, 0.6),
    ("waiting for writers before validation", 0.6, 0.62),
    ("index validation: scanning index", 0.62, 0.7),
    ("index validation: sorting tuples", 0.7, 0.7),
    ("index validation: scanning table", 0.7, 0.96),
    ("waiting for old snapshots", 0.96, 1.0),
)


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that a build waits for; `transaction_age` in seconds."""

    pid: int
    user: str
    application: str
    state: str
    transaction_age: float

    def __str__(self) -> str:
        name = f" {self.application}" if self.application else ""
        age = f", its transaction {self.transaction_age:.0f} s old" if self.transaction_age else ""
        return f"pid {self.pid} (user {self.user}{name}, {self.state or 'state hidden'}{age})"


@dataclass(frozen=True, slots=True)
class Progress:
    """One look: `fraction` of the whole build, 0 to 1; `phase` as the server names it."""

    name: str
    phase: str
    fraction: float
    blockers: tuple[Blocker, ...] = ()


Report = Callable[[Progress], None]
"""Is called from the watching thread."""


class Watch:
    """The last look, for whoever has to say why a build failed."""

    def __init__(self, name: str, report: Report | None) -> None:
        self._name = name
        self._report = report
        self._stop = threading.Event()
        self.blockers: tuple[Blocker, ...] = ()

    def run(self, connection: Connection, pid: int) -> None:
        """Look until stopped. A lost connection ends the watching, never the build."""
        with connection:
            while not self._stop.wait(INTERVAL):
                try:
                    look = read(connection, pid, self._name)
                except ServerError:
                    return
                if look is not None:
                    self._take(look)

    def stop(self) -> None:
        """End the watching."""
        self._stop.set()

    def _take(self, look: Progress) -> None:
        self.blockers = look.blockers
        if self._report:
            self._report(look)


def read(connection: Connection, pid: int, name: str = "") -> Progress | None:
    """What the build of session `pid` does now; None when it builds nothing."""
    row = connection.execute(statement("index_build_progress"), {"pid": pid}).fetchone()
    if row is None or (row["phase"] is None and not row["blockers"]):
        return None
    phase = row["phase"] or "waiting for a lock"
    return Progress(name, phase, fraction(phase, row), tuple(map(_blocker, row["blockers"])))


def fraction(phase: str, counts: Row) -> float:
    """The share of the whole build that is done, by the phase and the counts within it."""
    start, end = next(((a, b) for known, a, b in _PHASES if known == phase), (0.0, 0.0))
    for unit in ("blocks", "tuples", "lockers"):
        total = counts.get(f"{unit}_total") or 0
        if total:
            return start + (end - start) * min(1.0, (counts[f"{unit}_done"] or 0) / total)
    return start


@contextmanager
def watching(connection: Connection, name: str, report: Report | None = None) -> Iterator[Watch]:
    """Watch what `connection` builds from a second connection, in a thread."""
    watch = Watch(name, report)
    thread = None
    try:
        second = sibling(connection)
    except DboptError:
        # The server may have no connection left to give: build unwatched.
        second = None
    if second is not None:
        arguments = (second, connection.info.backend_pid)
        thread = threading.Thread(target=watch.run, args=arguments, daemon=True)
        thread.start()
    try:
        yield watch
    finally:
        watch.stop()
        if thread is not None:
            thread.join()


def sibling(connection: Connection) -> Connection:
    """Another connection to where this one leads, as the same user."""
    # psycopg leaves the password out of info.dsn.
    return connect(connection.info.dsn, password=connection.info.password or None)


def _blocker(row: dict[str, Any]) -> Blocker:
    return Blocker(
        pid=row["pid"],
        user=row["user"] or "",
        application=row["application"] or "",
        state=row["state"] or "",
        transaction_age=float(row["transaction_age"] or 0),
    )
