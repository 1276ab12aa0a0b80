"""How far a statement about an index is and who holds it up: what one look sees, in words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dbopt.migrate.direct import prepared
from dbopt.pg.connect import Connection, Row, connect
from dbopt.pg.sqlfile import statement
from dbopt.sql.redact import redact

# The phases of CREATE INDEX CONCURRENTLY (docs: progress-reporting), each with the share of the
# whole at which it begins and ends. Both scans of the table take most of the time.
PHASES: tuple[tuple[str, float, float], ...] = (
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
    # REINDEX CONCURRENTLY's own, after the same ones.
    ("waiting for readers before marking dead", 1.0, 1.0),
    ("waiting for readers before dropping", 1.0, 1.0),
)

_QUERY_SHOWN = 200
"""Characters of a blocker's query."""
_MINUTES, _HOURS = 120.0, 7200.0
"""Seconds from which a time is told in minutes, in hours."""


@dataclass(frozen=True, slots=True)
class Blocker:
    """Who is waited for; `transaction_age` in seconds. `gid`: a prepared transaction, which no
    session holds, so that `pid` is 0. `query` has no literals, and is "" unless asked for."""

    pid: int
    user: str
    application: str
    state: str
    transaction_age: float
    gid: str = ""
    autovacuum: bool = False
    wraparound: bool = False
    query: str = ""

    def __str__(self) -> str:
        age = f", its transaction {spell(self.transaction_age)} old" if self.transaction_age else ""
        if self.gid:
            return f'prepared transaction "{self.gid}" (user {self.user or "hidden"}{age})'
        if self.autovacuum:
            kind = " to prevent wraparound, which does not give way" if self.wraparound else ""
            return f"pid {self.pid} (autovacuum{kind}{age})"
        name = f", {self.application}" if self.application else ""
        state = self.state or "state hidden"
        query = f": {self.query}" if self.query else ""
        return f"pid {self.pid} (user {self.user or 'hidden'}{name}, {state}{age}{query})"


@dataclass(frozen=True, slots=True)
class Progress:
    """One look. `name` is the declared index; `fraction` of the whole of it, 0 to 1; `phase` as the
    server names it. `eta` is the seconds that are left, None while they are unknown. `part` is
    which partition of how many, from 1, (0, 0) of a plain table's; `eta` is then that one's."""

    name: str
    phase: str
    fraction: float
    blockers: tuple[Blocker, ...] = ()
    eta: float | None = None
    part: tuple[int, int] = (0, 0)

    @property
    def note(self) -> str:
        """The look in words, but for the name and the fraction."""
        words = [f"partition {self.part[0]} of {self.part[1]}"] if self.part[1] else []
        words.append(self.phase)
        if self.blockers:
            words.append("waiting for " + ", ".join(map(str, self.blockers)))
        elif self.eta is not None:
            words.append(
                f"about {spell(self.eta)} left{' of this one' if self.part[1] > 1 else ''}"
            )
        return ", ".join(words)


Report = Callable[[Progress], None]
"""Is called from the watching thread."""


def read(
    connection: Connection, pid: int, name: str = "", *, queries: bool = False
) -> Progress | None:
    """What session `pid` does for an index now; None when it builds nothing and waits for nobody.

    With `queries` the blockers' statements are read, and shown without their literals.
    """
    wanted = {"pid": pid, "queries": queries}
    row = connection.execute(statement("index_progress"), wanted).fetchone()
    if row is None or (row["phase"] is None and not row["blockers"]):
        return None
    phase = row["phase"] or "waiting for a lock"
    return Progress(name, phase, fraction(phase, row), tuple(map(blocker, row["blockers"])))


def fraction(phase: str, counts: Row) -> float:
    """The share of the whole build that is done, by the phase and the counts within it."""
    start, end = next(((a, b) for known, a, b in PHASES if known == phase), (0.0, 0.0))
    # The scan's blocks are still there, all of them done, when it waits for old snapshots.
    for unit in ("lockers",) if phase.startswith("waiting") else ("blocks", "tuples"):
        total = counts.get(f"{unit}_total") or 0
        if total:
            return start + (end - start) * min(1.0, (counts[f"{unit}_done"] or 0) / total)
    return start


def spell(seconds: float) -> str:
    """A time for people: `12 s`, `12 min`, `3.5 h`."""
    if seconds < _MINUTES:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < _HOURS else f"{seconds / 3600:.1f} h"


def opener(connection: Connection) -> Callable[[], Connection]:
    """What opens other connections to where this one leads, as the same user; also from another
    thread, and when this one is lost. They raise as `connect` and `prepared` do."""
    # psycopg leaves the password out of info.dsn.
    dsn, password = connection.info.dsn, connection.info.password or None
    return lambda: prepared(connect(dsn, password=password))


def blocker(row: dict[str, Any]) -> Blocker:
    """From a row of index_queue, or one of those that index_progress has in `blockers`."""
    return Blocker(
        pid=row["pid"] or 0,
        user=row["user"] or "",
        application=row["application"] or "",
        state=row["state"] or "",
        transaction_age=float(row["transaction_age"] or 0),
        gid=row["gid"] or "",
        autovacuum=row["backend"] == "autovacuum worker",
        wraparound=bool(row["wraparound"]),
        query=redact(row["query"], _QUERY_SHOWN) if row["query"] else "",
    )
