"""Performs one step of the plan: what the index needs is looked at anew, and done in small parts.

Each part leaves a state that the next run, or the same one after an error, can go on from. So a
step may be performed again at any time, whatever has happened meanwhile: a killed dbopt, a server
that was restarted, somebody who changed the same index.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from dbopt import clock
from dbopt.errors import MigrationError
from dbopt.migrate import build, drop, failure, orphans, partitions, swap
from dbopt.migrate.steps import Action, Step
from dbopt.migrate.task import Task
from dbopt.migrate.work import Built, Work
from dbopt.pg import catalog, ddl
from dbopt.sql.indexdef import IndexDefinition

__all__ = ["Built", "perform"]


def perform(work: Work, step: Step) -> Built:
    """Do what the step needs; what is done already is not done again.

    Of the work's connection the session settings are put back. A step that replaces or drops does
    so with the index that it names in `existing` and with no other. Built.action is BUSY where
    somebody has built it under another name: the caller plans it anew then.

    Raises MigrationError, DeadlinePassed, or ServerLost, after which it can be performed again on
    another connection. A signal's exception passes through, after the server's part is cancelled
    and cleaned up.
    """
    started = clock.monotonic()
    with ExitStack() as stack:
        try:
            # Looking at an index waits for whoever holds its table, but not for ever.
            stack.enter_context(
                ddl.timeouts(work.connection, lock=catalog.LOCK_TIMEOUT, statement=0)
            )
            action = _PERFORM[step.action](Task.of(work, step, stack))
        except ddl.ServerError as error:
            raise _lost(step, error) from None
        except BaseException:
            # A signal came in the middle of a statement: the server must not go on with it.
            if ddl.is_running(work.connection):
                ddl.abandon(work.connection)
            raise
    ms = (clock.monotonic() - started) * 1000
    return Built(_name(step), step.definition.table, ms, action is not Action.DROP, action)


def _lost(step: Step, error: ddl.ServerError) -> Exception:
    answer = ddl.translate(f'The index "{step.definition.name}"', error)
    if ddl.is_lost(error):
        return answer
    return MigrationError(answer.message, hint=answer.hint or "Run again.")


def _name(step: Step) -> str:
    other = step.action in {Action.PRESENT, Action.BUSY} and step.existing
    return other.name if other else step.definition.name


def _make(task: Task, wanted: IndexDefinition) -> Action:
    """Make sure that an index is there and valid, whatever its table is."""
    row = ddl.resolve(task.connection, wanted)
    if row is None:
        raise MigrationError(
            f'The table {wanted.table} of index "{wanted.name}" is not in this database.',
            hint="Create the table first, or take the index out of the declared ones.",
        )
    return partitions.ensure(task, wanted) if row["partitioned"] else build.ensure(task, wanted)


def _create(task: Task) -> Action:
    if task.step.holder is None:
        return _make(task, task.step.definition)
    swap.create_beside(task, _make)
    return Action.CREATE


def _rename(task: Task) -> Action:
    swap.rename(task, _make)
    return Action.RENAME


def _replace(task: Task) -> Action:
    swap.take_over(task, _make)
    return Action.REPLACE


def _drop(task: Task) -> Action:
    drop.drop(task, task.step.definition)
    return Action.DROP


def _wait(task: Task) -> Action:
    """Somebody builds it: afterwards it is valid, or what is left of it is built again.

    One that has another name until now is only waited for: the plan says then what it needs.
    """
    step = task.step
    if step.existing is None or step.existing.name == step.definition.name:
        return _make(task, step.definition)
    found = ddl.find(task.connection, step.existing.definition.schema, step.existing.name)
    if found is not None and not found.valid:
        orphans.wait(task, found)
    return Action.BUSY


def _nothing(task: Task) -> Action:
    return Action.PRESENT


def _refuse(task: Task) -> Action:
    step = task.step
    if step.existing is not None and not step.reason:
        raise failure.taken(step.definition, step.existing)
    raise MigrationError(
        f'The index "{step.definition.name}" is left alone: {step.reason}.',
        hint="Declare it under another name, or change what is in its way by hand.",
    )


_PERFORM: dict[Action, Callable[[Task], Action]] = {
    Action.PRESENT: _nothing,
    Action.CREATE: _create,
    Action.REBUILD: _create,
    Action.ATTACH: _create,
    Action.BUSY: _wait,
    Action.RENAME: _rename,
    Action.REPLACE: _replace,
    Action.DROP: _drop,
    Action.CONFLICT: _refuse,
}
