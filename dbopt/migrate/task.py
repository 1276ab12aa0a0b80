"""A task: one step while it is performed. Each statement that changes something goes through it."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from dbopt import clock
from dbopt.errors import DeadlinePassed, MigrationError
from dbopt.migrate.progress import Blocker
from dbopt.migrate.steps import Step
from dbopt.migrate.watch import GaveWay, Subject, Watcher
from dbopt.migrate.work import AGAIN, Change, Deadline, Work
from dbopt.pg import ddl
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.sql.indexdef import IndexDefinition

_OF_ALL = 0.9
"""Of a short statement's time, what it may wait for one lock: the lock's timeout says more."""
GRACE = 10.0
"""Seconds that a server may take to end a statement whose time is over, before it is given up."""
_LEAST = 0.5
"""Seconds that a short statement needs for itself on a slow server."""


class Changed(Exception):
    """Somebody has changed an index since it was looked at: the statement was not run."""


RETRYABLE = (*ddl.RETRYABLE, GaveWay, Changed)
"""What the same statement may not meet the next time."""


@dataclass(slots=True)
class Task:
    """One step and what it is performed with. `part` is which partition of how many is at work.

    `connection` is the work's, or another one to clean up with. `limit` is when the index that is
    at work must be done.
    """

    work: Work
    step: Step
    connection: Connection
    watcher: Watcher
    limit: Deadline = field(default_factory=Deadline)
    part: tuple[int, int] = (0, 0)
    blockers: tuple[Blocker, ...] = ()
    """Whom the last statement waited for when it was last looked at."""

    @classmethod
    def of(cls, work: Work, step: Step, stack: ExitStack) -> Task:
        """A task on the work's connection, watched on another until the stack is closed."""
        watcher = stack.enter_context(Watcher(work.connection, work.settings))
        made = cls(work, step, work.connection, watcher)
        made.grant()
        return made

    def grant(self) -> None:
        """Give the index that is worked on now its build_timeout."""
        self.limit = self.work.deadline.sooner(self.work.settings.build_timeout)

    def change(self, sql: str, of: IndexDefinition, reverse: str = "", *found: Index) -> Change:
        """The change that a statement about the index `of` is, as the journal keeps it."""
        return Change(self.step.action, of, sql, reverse, found)

    def run(self, change: Change, *, patient: bool, limit: Deadline | None = None) -> None:
        """Run a statement, announced to the journal.

        A patient one blocks nobody while it waits, and may wait until `limit`; any other waits for
        its locks, one or many, no longer than migrate.lock_timeout. Raises what the server answers,
        GaveWay, and Changed where a name in it is another index's by now.
        """
        journal = self.work.journal
        number = journal.began(change)
        try:
            if patient:
                self._run(change, 0.0, limit or self.limit)
            else:
                self._shortly(change)
        except BaseException as error:
            journal.ended(number, *_outcome(error))
            raise
        finally:
            self.blockers = self.watcher.blockers
        journal.ended(number, "done")

    def _shortly(self, change: Change) -> None:
        """Others queue behind each lock that it has or wants, so all of its time counts."""
        most = self.work.settings.lock_timeout
        limit = self.limit.sooner(max(most, _LEAST))
        try:
            self._run(change, most * _OF_ALL, limit)
        except ddl.TIMED_OUT:
            if self.limit.left:
                raise ddl.RETRYABLE[0] from None
            raise

    def _run(self, change: Change, lock: float, limit: Deadline) -> None:
        seconds = 0.0 if limit.at == float("inf") else max(0.1, limit.left)
        with (
            ddl.timeouts(self.connection, lock=lock, statement=seconds),
            self.connection.patient(seconds + GRACE if seconds else None),
            self.watcher.watching(self.connection, self.subject(change.definition)),
        ):
            # As late as can be: the journal may have waited for its store. DROP INDEX CONCURRENTLY
            # takes no oid, and bears no transaction in which its lock would keep the name.
            if not all(ddl.is_still(self.connection, index) for index in change.found):
                raise Changed
            ddl.run(self.connection, change.sql)

    def subject(self, definition: IndexDefinition) -> Subject:
        """What the looks of the watcher are about."""
        work, name = self.work, self.step.definition.name
        return Subject(name, definition.name, self.part, work.report, work.tell)

    def late(self, what: str, message: str, hint: str) -> MigrationError:
        """The error for what was not done in time: the whole run's time, or this index's."""
        if not self.work.deadline.left:
            granted = self.work.deadline.seconds
            return DeadlinePassed(
                f"{what} {message} before the {granted:g} s that were given were over"
                f"{self.waited()}.",
                hint=self._end_blockers() + AGAIN,
            )
        limit = self.work.settings.build_timeout
        return MigrationError(f"{what} {message} within {limit:g} s{self.waited()}.", hint=hint)

    def _end_blockers(self) -> str:
        pids = [blocker.pid for blocker in self.blockers if blocker.pid]
        calls = ", ".join(f"pg_terminate_backend({pid})" for pid in pids)
        return f"End what it waited for, if need be: SELECT {calls}. " if calls else ""

    def waited(self) -> str:
        """Whom the last statement waited for, as the end of a sentence."""
        return ": it waited for " + ", ".join(map(str, self.blockers)) if self.blockers else ""


class Tries:
    """The tries of one step's statement that another session's lock may defeat."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._left = task.work.settings.attempts
        self._delays = clock.backoff(first=0.5, most=10.0, jitter=0.5)

    def again(self, error: BaseException, kinds: tuple[type[Exception], ...] = RETRYABLE) -> bool:
        """Whether to try once more; it has waited a while then, longer from try to try."""
        self._left -= 1
        limit = self._task.limit
        if not isinstance(error, kinds) or self._left <= 0 or not limit.left:
            return False
        time.sleep(min(next(self._delays), limit.left))
        return bool(limit.left)


def _outcome(error: BaseException) -> tuple[str, str]:
    """How the journal calls it, without what the server may have quoted."""
    if isinstance(error, GaveWay):
        return "cancelled", f"it gave way to a statement that waited for its lock: {error.to}"
    if isinstance(error, Changed):
        return "cancelled", "somebody else has changed the index"
    if isinstance(error, ddl.ServerError):
        # Of a lost server nobody knows whether it has done it, or goes on: the catalog tells.
        outcome = "interrupted" if ddl.is_lost(error) else "failed"
        return outcome, ddl.translate("The statement", error).message
    return "cancelled", type(error).__name__
