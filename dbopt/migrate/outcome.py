"""What became of a run: what was done, what failed and why, what is left."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from dbopt.errors import (
    EXIT_DEADLINE,
    EXIT_OK,
    EXIT_PARTIAL,
    DboptError,
    DeadlinePassed,
    MigrationError,
)
from dbopt.migrate.plan import Action, Step
from dbopt.migrate.verify import Use
from dbopt.migrate.work import Built


class Outcome(StrEnum):
    """How a run ended.

    partly: some steps failed. failed: nothing was done. deadline: its time was over.
    cancelled: by Ctrl-C or a signal.
    """

    DONE = "done"
    PARTLY = "partly"
    FAILED = "failed"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Failed:
    """A step that was not done: why, and what to do. `where` is the place of its declaration."""

    name: str
    table: str
    action: Action
    message: str
    remedy: str = ""
    where: str = ""

    @classmethod
    def of(cls, step: Step, error: DboptError) -> Failed:
        """The step, and the error that ended it."""
        definition = step.definition
        return cls(
            definition.name, definition.table, step.action, error.message, error.hint, step.where
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of a run.

    `run` is its id in the store, "" where it was not recorded. `built` has what is as declared
    now, what was before too (PRESENT). `left` is the plan afterwards, without what is present and
    without what was not asked for. `uses` is what the planner makes of the new indexes.
    """

    run: str = ""
    built: tuple[Built, ...] = ()
    failed: tuple[Failed, ...] = ()
    left: tuple[Step, ...] = ()
    outcome: Outcome = Outcome.DONE
    uses: tuple[Use, ...] = ()

    @property
    def exit_code(self) -> int:
        """The exit code that tells it: fine, partly done, or the deadline has passed."""
        if self.outcome is Outcome.DEADLINE:
            return EXIT_DEADLINE
        return EXIT_PARTIAL if self.failed or self.left else EXIT_OK

    @property
    def changed(self) -> tuple[Built, ...]:
        """What this run has done."""
        return tuple(built for built in self.built if built.action is not Action.PRESENT)

    @property
    def so_far(self) -> Outcome:
        """The outcome by what was done and what was not."""
        if not (self.failed or self.left):
            return Outcome.DONE
        return Outcome.PARTLY if self.changed else Outcome.FAILED

    @property
    def recorded(self) -> str:
        """The outcome as the store has it: it knows no deadline."""
        return (self.so_far if self.outcome is Outcome.DEADLINE else self.outcome).value

    def stopped(self) -> str:
        """For whoever has stopped it: what is done, what is left."""
        if not (self.built or self.left):
            return "Stopped before anything was changed."
        done = ", ".join(built.name for built in self.changed) or "nothing"
        left = ", ".join(step.definition.name for step in self.left) or "nothing"
        return f"Stopped. Done: {done}. Left: {left}. Run again: it goes on from there."

    def raise_for_failure(self) -> None:
        """Raise MigrationError, or DeadlinePassed, unless all was done."""
        error = self.error()
        if error is not None:
            raise error

    def error(self) -> MigrationError | None:
        """What an exit code other than 0 means, in words."""
        if not self.exit_code:
            return None
        kind = DeadlinePassed if self.outcome is Outcome.DEADLINE else MigrationError
        return kind(self._message(), hint=self._remedy())

    def _message(self) -> str:
        if self.failed:
            return " ".join(failed.message for failed in self.failed)
        names = ", ".join(f'"{step.definition.name}"' for step in self.left)
        done = len(self.changed)
        late = "The deadline has passed. " if self.outcome is Outcome.DEADLINE else ""
        return f"{late}{done} done, {len(self.left)} left: {names}."

    def _remedy(self) -> str:
        remedies = dict.fromkeys(failed.remedy for failed in self.failed if failed.remedy)
        return " ".join(remedies) or "Run again: it goes on from there."

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {
            "run": self.run or None,
            "outcome": self.outcome.value,
            "built": [built.to_dict() for built in self.built],
            "failed": [failed.to_dict() for failed in self.failed],
            "left": [step.to_dict() for step in self.left],
            "uses": [use.to_dict() for use in self.uses],
        }
