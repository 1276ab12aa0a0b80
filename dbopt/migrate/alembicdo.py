"""What Alembic's operations do: a run of one index, or the statements of one where there is none.

A run looks first, waits where the server has no room, builds, verifies and is kept in the store
where there is one, as `dbopt index apply` does.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from dbopt import clock
from dbopt.errors import MigrationRefused
from dbopt.migrate import operations, run
from dbopt.migrate.alembicsession import Beside, beside, is_store, log, settings_of
from dbopt.migrate.declared import Declared
from dbopt.migrate.journal import StoreJournal, open_run
from dbopt.migrate.lockguard import direct_session
from dbopt.migrate.progress import Progress
from dbopt.migrate.steps import Action, Step, required, same_index
from dbopt.migrate.work import Deadline, Journal, Unrecorded, Work
from dbopt.pg import ddl
from dbopt.pg.canonical import canonical
from dbopt.pg.catalog import Index
from dbopt.pg.connect import Connection
from dbopt.pg.sqlfile import statement
from dbopt.sql.indexdef import IndexDefinition

if TYPE_CHECKING:
    from alembic.runtime.migration import MigrationContext

COMMAND = "alembic"
"""What the store says the run was."""

SAYING = 10.0
"""Seconds between two lines on how far a build is."""

MAKING = frozenset(
    {Action.CREATE, Action.REBUILD, Action.RENAME, Action.REPLACE, Action.ATTACH, Action.BUSY}
)
"""All that may be needed for one index to be there; never the drop of another."""


_ROBUST = "prefer-robust-stmts"
"""The lint rule that wants to know why this can be run again."""


def create(context: MigrationContext, definition: IndexDefinition) -> None:
    """Make the index exist, valid. Raises as `run.apply` does, and as `beside`."""
    if is_store(context):
        return
    with _unwinding(), beside(context) as own:
        options = run.Options(
            only=(definition.name,),
            actions=MAKING,
            found=[Declared(definition, Path("op.create_index_safely"), 1)],
            record=_recorded(own),
            command=COMMAND,
        )
        applied = run.apply(own.settings, options, report=_Said(), tell=log.info, guard=own.guard)
        for built in applied.built:
            log.info("Index %s on %s: %s", built.name, built.table, built.action.value)
        applied.raise_for_failure()


def drop(context: MigrationContext, definition: IndexDefinition) -> None:
    """Make the index be gone. Raises MigrationRefused where something needs it."""
    if is_store(context):
        return
    with _unwinding(), beside(context) as own, direct_session(own.settings) as connection:
        found = _find(connection, definition)
        if found is None:
            log.info("There is no index %s to drop.", definition.name)
            return
        if not _is_it(connection, found, definition):
            return
        reason = required(found)
        if reason:
            raise MigrationRefused(
                f'The index "{found.name}" cannot be dropped: {reason}.',
                hint="Drop what needs it first.",
            )
        _perform(own, connection, Step(Action.DROP, found.definition, found))


class _Said:
    """Says now and then how far a build is: Alembic has no progress bar."""

    def __init__(self) -> None:
        self._next = 0.0

    def __call__(self, look: Progress) -> None:
        now = clock.monotonic()
        if now >= self._next:
            self._next = now + SAYING
            log.info("Index %s: %.0f %%, %s", look.name, look.fraction * 100, look.note)


@contextmanager
def _unwinding() -> Iterator[None]:
    """Inside, SIGTERM ends with what Ctrl-C does, so that what was begun is cleaned up.

    The `alembic` command would die at once, and the server go on building.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _terminated(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)


def offline_create(context: MigrationContext, definition: IndexDefinition) -> None:
    """Print what creates it, outside a transaction."""
    name = definition.name
    _print(
        context,
        [
            f"-- dbopt:ignore {_ROBUST} with a connection it finds what a failed one has left",
            f"-- If this fails it leaves an invalid index {name}: drop it, then try again.",
            f"{definition.create_sql(concurrently=True)};",
        ],
    )


def offline_drop(context: MigrationContext, definition: IndexDefinition) -> None:
    """Print what drops it, outside a transaction."""
    _print(context, [f"{ddl.drop_text(definition)};"])


def _print(context: MigrationContext, statements: Iterable[str]) -> None:
    timeout = round(settings_of(context).migrate.build_timeout)
    with context.autocommit_block():
        for line in (
            # lock_timeout would count the wait for old snapshots, which blocks nobody.
            "SET lock_timeout = 0;",
            f"SET statement_timeout = '{timeout}s';",
            *statements,
            "RESET statement_timeout;",
            "RESET lock_timeout;",
        ):
            context.impl.static_output(line)


def _recorded(own: Beside) -> bool:
    """Whether there is a store that may be written: an application need not have one."""
    if own.settings.store.dsn:
        return True
    row = own.guard.connection.execute(statement("alembic_store")).fetchone()
    if row is None or not row["there"]:
        return False
    if not row["writable"]:
        log.info("Not recorded in dbopt's schema: this role may not write there.")
    return bool(row["writable"])


def _find(connection: Connection, definition: IndexDefinition) -> Index | None:
    """The index of that name: in the schema named, in its table's, or where the path finds it."""
    schema = definition.schema
    if not schema and definition.table:
        row = ddl.resolve(connection, definition)
        schema = row["schema"] if row else ""
    elif not schema:
        named = IndexDefinition("", "", definition.name, "", ())
        row = ddl.resolve(connection, named)
        schema = row["schema"] if row else ""
    return ddl.find(connection, schema, definition.name) if schema else None


def _is_it(connection: Connection, found: Index, definition: IndexDefinition) -> bool:
    if definition.keys:
        it = same_index(found.definition, canonical(connection, definition))
    else:
        it = definition.table in ("", found.definition.table)
    if not it:
        log.warning("The index %s is another one by now, and is kept.", definition.name)
    return it


def _perform(own: Beside, connection: Connection, step: Step) -> None:
    journal: Journal = Unrecorded()
    if _recorded(own):
        journal = open_run(own.settings, own.guard.connection, command=COMMAND, tell=log.warning)
    work = Work(
        connection,
        own.settings.migrate,
        journal,
        Deadline.after(own.settings.migrate.deadline),
        tell=log.info,
    )
    outcome = "failed"
    try:
        operations.perform(work, step)
        outcome = "done"
    finally:
        if isinstance(journal, StoreJournal):
            journal.close(outcome)
