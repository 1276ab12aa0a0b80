"""Builds one index of a plain table concurrently, and leaves either a valid index or none.

What goes wrong when nobody watches CREATE INDEX CONCURRENTLY: a statement that fails leaves an
INVALID index, which IF NOT EXISTS then accepts, and a unique one goes on refusing rows;
lock_timeout counts the wait for old snapshots too, so it is off here and the build has a deadline
instead. The lock that a build waits for (SHARE UPDATE EXCLUSIVE) makes no reader or writer wait.

Source: PostgreSQL's documentation, CREATE INDEX, "Building Indexes Concurrently".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dbopt.errors import DboptError, MigrationError
from dbopt.migrate import failure, orphans
from dbopt.migrate.leftovers import is_copy
from dbopt.migrate.steps import Action, same_index
from dbopt.migrate.task import RETRYABLE, Task, Tries
from dbopt.migrate.watch import GaveWay
from dbopt.migrate.work import Deadline
from dbopt.pg import ddl, ddltext
from dbopt.pg.catalog import Index
from dbopt.sql.indexdef import IndexDefinition

CLEANING = 2.0
"""A leftover's drop may wait for so many lock_timeouts: then the next run drops it."""


def _nothing() -> None:
    """Nothing has to be made sure of."""


def ensure(task: Task, wanted: IndexDefinition, still: Callable[[], None] = _nothing) -> Action:
    """Make sure that the index exists under its name and is valid; what that took.

    `still` is called just before a build, and raises where it is wanted no more.

    An invalid one of the same meaning is waited for if somebody builds it, repaired in its place
    if it is attached, else dropped and built again. Raises MigrationError, DeadlinePassed, or
    ServerLost; then no invalid index of ours is left, or the message says so.
    """
    return _Build(task, wanted, still).go()


class _Build:
    def __init__(self, task: Task, wanted: IndexDefinition, still: Callable[[], None]) -> None:
        self._task = task
        self._wanted = wanted
        self._still = still
        self._tries = Tries(task)
        self._done = Action.PRESENT
        self._begun = False
        task.grant()

    def go(self) -> Action:
        while True:
            try:
                if self._advance():
                    return self._done
            except BaseException as error:
                self._recover(error)

    def _advance(self) -> bool:
        """Do the next thing that is missing; whether nothing is any more."""
        task, wanted = self._task, self._wanted
        found = ddl.find(task.connection, wanted.schema, wanted.name)
        if found is None:
            self._create()
            return False
        if not self._is_it(found):
            raise failure.taken(wanted, found)
        if found.valid:
            if self._done is not Action.PRESENT:
                verify(task, wanted)
            return True
        if not orphans.wait(task, found):
            self._done = Action.REBUILD
            mend(task, found)
        return False

    def _create(self) -> None:
        task, wanted = self._task, self._wanted
        if self._done is Action.PRESENT:
            self._done = Action.CREATE
        task.work.pause()
        self._still()
        text = ddltext.create_text(wanted)
        self._begun = True
        task.run(task.change(text, wanted, ddltext.drop_text(wanted)), patient=True)

    def _is_it(self, found: Index) -> bool:
        if same_index(found.definition, self._wanted):
            return True
        # The application has renamed the table since our own build was begun.
        moved = replace(found.definition, table=self._wanted.table)
        return self._begun and not found.valid and same_index(moved, self._wanted)

    def _recover(self, error: BaseException) -> None:
        """Clean up after a failure. Returns if it shall be tried again, else raises."""
        task, wanted = self._task, self._wanted
        if isinstance(error, Exception) and ddl.is_taken(error):
            # Somebody was faster, perhaps an orphan of a killed run: look at what is there.
            self._begun = False
            if self._is_there() and self._tries.again(error, (ddl.ServerError,)):
                return
            raise failure.of(task, wanted, error) from None
        remains = clean_up(task, wanted, self._is_it)
        if not isinstance(error, Exception):
            if remains:
                task.work.tell(remains)
            raise error
        if isinstance(error, DboptError):
            raise error
        if not self._tries.again(error):
            raise failure.of(task, wanted, error, remains) from None

    def _is_there(self) -> bool:
        return ddl.find(self._task.connection, self._wanted.schema, self._wanted.name) is not None


def mend(task: Task, found: Index) -> None:
    """Repair an invalid index in its place if it is attached to a parent's, else drop it."""
    if found.parent is None:
        drop_invalid(task, found)
        return
    drop_copies(task, found)
    task.work.pause()
    text = ddltext.reindex_text(found.definition)
    task.run(task.change(text, found.definition, "", found), patient=True)


def drop_invalid(task: Task, found: Index, limit: Deadline | None = None) -> None:
    """Drop an invalid index, which serves nobody: so nothing undoes it."""
    change = task.change(ddltext.drop_text(found.definition), found.definition, "", found)
    task.run(change, patient=True, limit=limit)


def drop_copies(task: Task, of: Index, limit: Deadline | None = None) -> None:
    """Drop what a REINDEX CONCURRENTLY of that index has left when it failed."""
    for index in ddl.on_table(task.connection, of.definition):
        copy = is_copy(index.definition, of.definition)
        if copy and not index.valid and index.parent is None:
            drop_invalid(task, index, limit)


def clean_up(task: Task, wanted: IndexDefinition, is_ours: Callable[[Index], bool]) -> str:
    """Drop what a failed build left; what could not be dropped, in words."""
    connection = task.connection
    try:
        if not (connection.broken or ddl.is_running(connection)):
            return _clean(replace(task), wanted, is_ours)
        with task.watcher.open() as other:
            # A signal came in the middle: without this the server would go on building.
            ddl.abandon(connection)
            orphans.await_end(other, wanted)
            return _clean(replace(task, connection=other), wanted, is_ours)
    except (DboptError, ddl.ServerError, *RETRYABLE):
        return f'An invalid index "{wanted.name}" may be left; the next run mends it.'


def _clean(task: Task, wanted: IndexDefinition, is_ours: Callable[[Index], bool]) -> str:
    found = ddl.find(task.connection, wanted.schema, wanted.name)
    if found is None or not is_ours(found):
        return ""
    limit = Deadline.after(max(1.0, CLEANING * task.work.settings.lock_timeout))
    drop_copies(task, found, limit)
    if found.valid:
        return ""
    if found.parent is not None or orphans.builder(task, found):
        return f'The index "{wanted.name}" is invalid still; the next run mends it.'
    drop_invalid(task, found, limit)
    return ""


def verify(task: Task, wanted: IndexDefinition) -> None:
    """Make sure that the index is what was to be built; gather the statistics of expressions.

    Raises MigrationError.
    """
    found = ddl.find(task.connection, wanted.schema, wanted.name)
    if found is None or not (found.valid and found.ready):
        raise MigrationError(
            f'The index "{wanted.name}" was built and is {"invalid" if found else "not there"}.',
            hint="Somebody else may have changed it; run again.",
        )
    if not same_index(found.definition, wanted):
        raise MigrationError(
            f'The index "{wanted.name}" was built and is not the declared one: {found.sql}.'
        )
    if not all(key.is_column for key in wanted.keys):
        analyze(task, wanted)


def analyze(task: Task, wanted: IndexDefinition) -> None:
    """ANALYZE the table. The index is there, so what fails here is told and no failure."""
    try:
        task.run(task.change(ddltext.analyze_text(wanted), wanted), patient=True)
    except (ddl.ServerError, GaveWay) as error:
        if isinstance(error, ddl.ServerError) and ddl.is_lost(error):
            raise
        task.work.tell(
            f"ANALYZE of {wanted.table} has failed: until autovacuum or somebody does it, the "
            f'planner knows nothing of the expressions of "{wanted.name}".'
        )
