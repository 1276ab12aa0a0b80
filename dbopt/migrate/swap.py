"""Gives indexes their names: a rename, a replacement, two that change names.

ALTER INDEX … RENAME takes SHARE UPDATE EXCLUSIVE on the index alone since PostgreSQL 12: nobody
who reads or writes waits. Two renames are one transaction, so the name is never missing.

Source: PostgreSQL's documentation, ALTER INDEX, "Notes".
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dbopt.errors import DboptError, MigrationError
from dbopt.migrate import failure
from dbopt.migrate.build import drop_invalid
from dbopt.migrate.drop import drop
from dbopt.migrate.names import new_name, old_name
from dbopt.migrate.steps import Action, required, same_index
from dbopt.migrate.task import RETRYABLE, Task, Tries
from dbopt.pg import ddl, ddltext
from dbopt.pg.catalog import Index
from dbopt.sql.indexdef import IndexDefinition

Make = Callable[[Task, IndexDefinition], Action]
"""Makes sure that an index exists and is valid, also a partitioned table's."""


def rename(task: Task, make: Make) -> None:
    """Give the step's index its name. One that is gone meanwhile is built.

    Raises MigrationError where the name is another's by now, DeadlinePassed, ServerLost.
    """
    step = task.step
    _swap(task, lambda: _there(task, step.existing) or _built(task, _new(task), make))


def create_beside(task: Task, make: Make) -> None:
    """Build an index whose name another one has, which is declared under a third name."""
    _swap(task, lambda: _built(task, _new(task), make))


def take_over(task: Task, make: Make) -> None:
    """Replace the index that has the name: build its successor, swap the names, drop it."""
    step = task.step
    if step.existing is None:
        raise ValueError("a replacement of nothing")
    _swap(task, lambda: _there(task, step.ready) or _built(task, _new(task), make))
    old = replace(step.existing.definition, name=old_name(step.definition.name))
    left = ddl.find(task.connection, old.schema, old.name)
    if left is not None and left.oid == step.existing.oid:
        drop(task, left.definition)


def _new(task: Task) -> str:
    return new_name(task.step.definition.name)


def _built(task: Task, name: str, make: Make) -> Index:
    """The successor, built under another name; or under its own, if nobody has that."""
    wanted = task.step.definition
    ready = ddl.find(task.connection, wanted.schema, name)
    if ready is not None and ready.valid and same_index(ready.definition, wanted):
        return ready
    named = ddl.find(task.connection, wanted.schema, wanted.name)
    made = wanted if named is None else replace(wanted, name=name)
    if ready is not None and made.name == name and not same_index(ready.definition, wanted):
        drop(task, ready.definition)  # a killed run's, of what was declared then
    make(task, made)
    found = ddl.find(task.connection, made.schema, made.name)
    if found is None:
        raise _changed(wanted)
    return found


def _there(task: Task, index: Index | None) -> Index | None:
    """The index as it is now, whatever its name is by now; None where it is gone."""
    if index is None:
        return None
    indexes = ddl.on_table(task.connection, index.definition)
    return next((now for now in indexes if now.oid == index.oid and now.valid), None)


def _swap(task: Task, find: Callable[[], Index]) -> None:
    """Let the index that `find` gives have the name, and who has it now step aside."""
    task.grant()
    tries = Tries(task)
    while True:
        try:
            if _is_done(task):
                return
            source = find()
            if not _is_done(task):
                _rename(task, source)
        except DboptError:
            raise
        except (ddl.ServerError, *RETRYABLE) as error:
            # What was renamed, or dropped, by somebody else is looked at again.
            if not tries.again(error, (*RETRYABLE, *ddl.GONE, ddl.TAKEN)):
                verb = "did not get its name"
                raise failure.of(task, task.step.definition, error, verb=verb) from None


def _is_done(task: Task) -> bool:
    wanted = task.step.definition
    named = ddl.find(task.connection, wanted.schema, wanted.name)
    return named is not None and named.valid and same_index(named.definition, wanted)


def _rename(task: Task, source: Index) -> None:
    """One transaction: the holder of the name steps aside, the source takes it."""
    wanted = task.step.definition
    renames, renamed = [(source.name, wanted.name)], [source]
    holder = ddl.find(task.connection, wanted.schema, wanted.name)
    if holder is not None and not _dropped(task, holder):
        aside = old_name(wanted.name)
        _make_room(task, aside)
        renames.insert(0, (wanted.name, aside))
        renamed.append(holder)
    back = [(to, name) for name, to in reversed(renames)]
    change = task.change(
        ddltext.rename_text(wanted.schema, *renames),
        source.definition,
        ddltext.rename_text(wanted.schema, *back),
        *renamed,
    )
    task.run(change, patient=False)


def _dropped(task: Task, holder: Index) -> bool:
    """Whether the index that has the name was an invalid leftover, which is gone now.

    Raises MigrationError unless it is the one that the step lets step aside.
    """
    step = task.step
    expected = step.existing if step.action is Action.REPLACE else step.holder
    if expected is not None and holder.oid == expected.oid:
        why = required(holder)
        if why:
            raise MigrationError(
                f'The index "{holder.name}" cannot give its name away: {why}.',
                hint="Declare the new one under another name.",
            )
        return False
    if not holder.valid and same_index(holder.definition, step.definition):
        drop_invalid(task, holder)
        return True
    raise failure.taken(step.definition, holder)


def _make_room(task: Task, aside: str) -> None:
    """Drop what a killed run has left under the name that the holder is to have."""
    left = ddl.find(task.connection, task.step.definition.schema, aside)
    if left is not None:
        drop(task, left.definition)


def _changed(wanted: IndexDefinition) -> MigrationError:
    return MigrationError(
        f'The index "{wanted.name}" was built, and somebody has dropped it.', hint="Run again."
    )
