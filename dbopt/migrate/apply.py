"""Builds one index concurrently, and leaves either a valid index or none.

What goes wrong when nobody watches CREATE INDEX CONCURRENTLY: a statement that fails leaves an
INVALID index, which IF NOT EXISTS then accepts; lock_timeout counts the wait for old snapshots
too, so it is off here and the whole build has a deadline instead. The lock that a build waits
for (SHARE UPDATE EXCLUSIVE) makes no reader or writer wait.

Source: PostgreSQL's documentation, CREATE INDEX, "Building Indexes Concurrently".
"""

from __future__ import annotations

import logging
import time
from dataclasses import asdict, dataclass
from typing import Any

from dbopt import clock
from dbopt.errors import DboptError, MigrationError
from dbopt.migrate.plan import Action, Step, same_index, step
from dbopt.migrate.progress import Report, Watch, sibling, watching
from dbopt.pg import catalog, ddl
from dbopt.pg.connect import Connection
from dbopt.settings import Migrate
from dbopt.sql.indexdef import IndexDefinition

ATTEMPTS = 5
"""As safe-pg-migrations does it."""
CANCEL_TIMEOUT = 5.0
"""Seconds that a cancelled build may take to end."""

_log = logging.getLogger("dbopt.migrate")


@dataclass(frozen=True, slots=True)
class Built:
    """What became of one declared index. `name` is the index that serves; `ms` the time taken.

    `action` is "create", "rebuild" or "present".
    """

    name: str
    table: str
    ms: float
    valid: bool
    action: Action

    def to_dict(self) -> dict[str, Any]:
        """As JSON-ready types."""
        return {**asdict(self), "ms": round(self.ms, 1)}


def build(
    connection: Connection,
    definition: IndexDefinition,
    settings: Migrate,
    progress: Report | None = None,
) -> Built:
    """Make sure that the index exists and is valid; `connection` is direct, in autocommit.

    A valid one of the same meaning is kept, a leftover invalid one of ours is dropped and built
    again. Raises MigrationError when the name is taken by another definition, when somebody
    else builds it now, or when the build fails; then no invalid index is left, or the message
    says so. FeatureNotSupported on a partitioned table.
    """
    started = clock.monotonic()
    wanted = ddl.canonical(connection, definition)
    todo = step(wanted, _related(connection, wanted))
    _refuse(todo)
    if todo.action is Action.REBUILD:
        _drop(connection, wanted, settings)
    if todo.action is not Action.PRESENT:
        _create(connection, wanted, settings, progress)
        _verify(connection, wanted)
    name = todo.existing.name if todo.existing else wanted.name
    ms = (clock.monotonic() - started) * 1000
    return Built(name, wanted.table, ms, True, todo.action)


def remove(connection: Connection, definition: IndexDefinition, settings: Migrate) -> bool:
    """DROP INDEX CONCURRENTLY if the index of that name is the declared one, valid or not.

    False when it is not there or is another. Raises MigrationError when it cannot be dropped.
    """
    if ddl.resolve(connection, definition) is None:
        return False
    wanted = ddl.canonical(connection, definition)
    found = ddl.find(connection, wanted.schema, wanted.name)
    if found is None or not same_index(found.definition, wanted):
        return False
    _drop(connection, wanted, settings)
    return True


def _related(connection: Connection, wanted: IndexDefinition) -> list[catalog.Index]:
    """The index of that name, on whatever table it is, and those of the table."""
    named = ddl.find(connection, wanted.schema, wanted.name)
    return ([named] if named else []) + ddl.on_table(connection, wanted)


def _refuse(todo: Step) -> None:
    name = todo.definition.name
    if todo.action is Action.CONFLICT:
        raise MigrationError(
            f'The index "{name}" exists with another definition: {todo.reason}.',
            hint="Declare it under another name, or drop the one that is there.",
        )
    if todo.action is Action.BUSY:
        raise MigrationError(
            f'The index "{name}" is being built: {todo.reason}.', hint="Wait, then run again."
        )


def _create(
    connection: Connection, wanted: IndexDefinition, settings: Migrate, progress: Report | None
) -> None:
    deadline = clock.monotonic() + settings.build_timeout
    delays = clock.backoff(first=0.5, most=10.0, jitter=0.5)
    with watching(connection, wanted.name, progress) as watch:
        for left in reversed(range(ATTEMPTS)):
            try:
                _attempt(connection, wanted, deadline)
                return
            except BaseException as error:
                # Ctrl-C and SIGTERM too leave an invalid index behind.
                remains = _clean_up(connection, wanted, settings, error)
                if not isinstance(error, ddl.ServerError):
                    _log.warning(
                        "Stopped. %s", remains or f'The index "{wanted.name}" is not there.'
                    )
                    raise
                late = clock.monotonic() >= deadline
                if remains or late or not left or not isinstance(error, ddl.RETRYABLE):
                    raise _failure(wanted, settings, error, watch, remains) from None
            time.sleep(next(delays))


def _attempt(connection: Connection, wanted: IndexDefinition, deadline: float) -> None:
    seconds = max(0.1, deadline - clock.monotonic())
    with ddl.timeouts(connection, lock=0, statement=seconds):
        ddl.create(connection, wanted, concurrently=True)


def _clean_up(
    connection: Connection, wanted: IndexDefinition, settings: Migrate, error: BaseException
) -> str:
    """Drop what a failed build left; what could not be dropped, in words."""
    if isinstance(error, ddl.TAKEN):
        return ""
    left = f'The invalid index "{wanted.name}" is left behind; the next run rebuilds it.'
    try:
        if not (connection.broken or ddl.is_running(connection)):
            return "" if _drop_leftover(connection, wanted, settings) else left
        with sibling(connection) as other:
            # A signal came in the middle: without this the server would go on building.
            ddl.abandon(connection)
            _wait_for_end(other, wanted)
            return "" if _drop_leftover(other, wanted, settings) else left
    except (DboptError, ddl.ServerError):
        return left


def _wait_for_end(connection: Connection, wanted: IndexDefinition) -> None:
    deadline = clock.monotonic() + CANCEL_TIMEOUT
    while clock.monotonic() < deadline:
        found = ddl.find(connection, wanted.schema, wanted.name)
        if found is None or found.builder_pid is None:
            return
        time.sleep(0.05)


def _drop_leftover(connection: Connection, wanted: IndexDefinition, settings: Migrate) -> bool:
    """Drop an invalid index that is ours; False where one is still being built."""
    found = ddl.find(connection, wanted.schema, wanted.name)
    if found is None or found.valid or not same_index(found.definition, wanted):
        return True
    if found.builder_pid is not None:
        return False
    _drop(connection, wanted, settings)
    return True


def _drop(connection: Connection, wanted: IndexDefinition, settings: Migrate) -> None:
    delays = clock.backoff(first=0.2, most=5.0, jitter=0.5)
    for left in reversed(range(ATTEMPTS)):
        try:
            with ddl.timeouts(connection, lock=settings.lock_timeout, statement=0):
                ddl.drop(connection, wanted.schema, wanted.name, concurrently=True)
            return
        except ddl.RETRYABLE as error:
            if not left:
                raise _not_dropped(wanted, error) from None
        except ddl.ServerError as error:
            raise _not_dropped(wanted, error) from None
        time.sleep(next(delays))


def _not_dropped(wanted: IndexDefinition, error: ddl.ServerError) -> MigrationError:
    answer = ddl.translate(f'Dropping the index "{wanted.name}"', error)
    return MigrationError(
        answer.message, hint="End the long transactions that use its table, then run again."
    )


def _verify(connection: Connection, wanted: IndexDefinition) -> None:
    found = ddl.find(connection, wanted.schema, wanted.name)
    if found is None or not found.valid:
        raise MigrationError(
            f'The index "{wanted.name}" was built and is {"invalid" if found else "not there"}.',
            hint="Somebody else may have changed it; run again.",
        )
    if not same_index(found.definition, wanted):
        raise MigrationError(
            f'The index "{wanted.name}" was built and is not the declared one: {found.sql}.'
        )
    if not all(key.is_column for key in wanted.keys):
        ddl.analyze(connection, wanted)


def _failure(
    wanted: IndexDefinition, settings: Migrate, error: ddl.ServerError, watch: Watch, remains: str
) -> MigrationError:
    what = f'The index "{wanted.name}" on {wanted.table}'
    if isinstance(error, ddl.DUPLICATES):
        message = f"{what} is unique, and the table holds rows that are not."
        hint = "Find and merge the duplicates, then run again."
    elif isinstance(error, ddl.TIMED_OUT):
        message = f"{what} was not built within {settings.build_timeout:g} s{_blocked(watch)}."
        hint = "End what blocks it or raise migrate.build_timeout, then run again."
    else:
        message = ddl.translate(f"{what} was not built{_blocked(watch)}", error).message
        hint = "Mend the cause, then run again."
    return MigrationError(f"{message} {remains}".rstrip(), hint=hint)


def _blocked(watch: Watch) -> str:
    if not watch.blockers:
        return ""
    return ": it waited for " + ", ".join(map(str, watch.blockers))
