"""Work: what a step is performed with. Its journal hears of every statement before it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from dbopt import clock
from dbopt.errors import DeadlinePassed
from dbopt.migrate.plan import Action
from dbopt.migrate.progress import Report
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition

AGAIN = "Run again: it goes on from here. Or give it longer: --deadline, or migrate.deadline."
"""What to do once a run's time is over, whoever has granted it."""


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one index. `name` is the index that serves, or that is gone; `ms` the time
    taken; `action` what was done. `valid` is False only of one that is gone.
    """

    name: str
    table: str
    ms: float
    valid: bool
    action: Action

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {**asdict(self), "ms": round(self.ms, 1)}


@dataclass(frozen=True, slots=True)
class Change:
    """One statement that changes an index, and what undoes it.

    `action` is the step's that it belongs to. `definition` is the index that it is about, under
    the name that it has before a rename, after a creation. `sql` and `reverse` are statements for
    people and for `dbopt index rollback`; `reverse` is "" where there is nothing to undo (the drop
    of an invalid leftover). `found` are the indexes that it calls by their names: by the time that
    it is run, others may have these.
    """

    action: Action
    definition: IndexDefinition
    sql: str
    reverse: str = ""
    found: tuple[Index, ...] = ()


class Journal(Protocol):
    """Keeps what was done. Never raises: what cannot be kept must not stop a step half way."""

    def began(self, change: Change) -> int:
        """Note that the statement is about to run; the number to give to `ended`."""
        ...

    def ended(self, number: int, outcome: str, message: str = "") -> None:
        """Note its end: "done", "failed", "cancelled" or, if nobody knows it, "interrupted".

        `message` holds no literal.
        """
        ...


class Unrecorded:
    """The journal of a run that keeps none."""

    def began(self, change: Change) -> int:
        """Nothing is kept."""
        return 0

    def ended(self, number: int, outcome: str, message: str = "") -> None:
        """Nothing is kept."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """A moment of `clock.monotonic`; infinity is none. `seconds` is what was granted in all."""

    at: float = float("inf")
    seconds: float = 0.0

    @classmethod
    def after(cls, seconds: float) -> Deadline:
        """So many seconds from now; 0 is never."""
        return cls(clock.monotonic() + seconds, seconds) if seconds else cls()

    @property
    def left(self) -> float:
        """Seconds that are left, at least 0."""
        return max(0.0, self.at - clock.monotonic())

    def sooner(self, seconds: float) -> Deadline:
        """This one, or so many seconds from now, whichever comes first."""
        other = Deadline.after(seconds)
        return other if other.at < self.at else self

    def check(self, what: str) -> None:
        """Raise DeadlinePassed when it has passed; `what` was not done."""
        if not self.left:
            raise DeadlinePassed(
                f"{what} was not begun: the {self.seconds:g} s that were given are over.",
                hint=AGAIN,
            )


def _no_pause() -> None:
    """Wait for nothing."""


@dataclass(slots=True)
class Work:
    """What a step is performed with.

    `connection` is direct, in autocommit, and not the one that holds the migration lock.
    `report` is called from another thread while an index is built. `pause` is called before a
    statement that costs the server something: it returns once there is room for it, or raises
    DeadlinePassed. `tell` takes one line for people. `attempts` and the timeouts are in `settings`.
    """

    connection: Connection
    settings: Migrate
    journal: Journal = field(default_factory=Unrecorded)
    deadline: Deadline = field(default_factory=Deadline)
    report: Report | None = None
    pause: Callable[[], None] = _no_pause
    tell: Callable[[str], None] = lambda line: None
