"""The declared indexes in dbopt's own environment: built after the newest revision."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from alembic.runtime.migration import MigrationContext

from dbopt.errors import MigrationError, MigrationRefused
from dbopt.migrate import operations, run
from dbopt.migrate.declared import declared
from dbopt.migrate.environment import ATTRIBUTE, Run
from dbopt.migrate.lockguard import Guard, direct_session
from dbopt.migrate.steps import Action, Step, same_index
from dbopt.migrate.work import Deadline, Work
from dbopt.pg import ddl
from dbopt.pg.canonical import canonical
from dbopt.sql.indexdef import IndexDefinition

STORE_ONLY = "dbopt migrate upgrade --schema-only"
"""What makes dbopt's own schema alone."""
COMMAND = "dbopt migrate upgrade"
"""What the store says the run was."""

_log = logging.getLogger("dbopt.migrate")


def build_declared(ours: Run, guard: Guard) -> None:
    """Make every declared index exist; `ours.built` gets what became of each.

    Nothing is dropped or replaced: that is `dbopt index apply`'s. Every definition is checked
    before the first is built. What a failed run has built stays, and the next one goes on from
    there. Raises DeclarationError and MigrationError.
    """
    found = declared(ours.settings)
    if not found:
        return
    options = run.Options(actions=run.ADDING, found=found, command=COMMAND)
    try:
        applied = run.apply(
            ours.served, options, report=ours.progress, tell=_log.warning, guard=guard
        )
    except MigrationRefused as error:
        hint = f"{error.hint} dbopt's own schema alone: `{STORE_ONLY}`."
        raise MigrationRefused(error.message, hint=hint.strip()) from None
    ours.built.extend(applied.built)
    applied.raise_for_failure()


def print_declared(context: MigrationContext, ours: Run) -> None:
    """Offline: print the statements that build the declared indexes. Raises DeclarationError."""
    found = declared(ours.settings) if ours.indexes else []
    for one in found:
        context.impl.static_output(f"{one.definition.create_sql(concurrently=True)};\n")


def downgrade_declared(context: MigrationContext) -> None:
    """Drop the declared indexes concurrently, those that are still as declared."""
    ours = _run(context)
    found = declared(ours.settings) if ours.indexes else []
    if context.as_sql:
        _print(context, [ddl.drop_text(one.definition) for one in reversed(found)])
        return
    with context.autocommit_block(), direct_session(ours.served) as connection:
        work = Work(
            connection,
            ours.settings.migrate,
            deadline=Deadline.after(ours.settings.migrate.deadline),
            tell=_log.warning,
        )
        for one in reversed(found):
            _remove(work, one.definition)


def _remove(work: Work, definition: IndexDefinition) -> None:
    if ddl.resolve(work.connection, definition) is None:
        return
    stored = canonical(work.connection, definition)
    found = ddl.find(work.connection, stored.schema, stored.name)
    if found is not None and same_index(found.definition, stored):
        operations.perform(work, Step(Action.DROP, found.definition, found))


def _run(context: MigrationContext) -> Run:
    ours = context.config.attributes.get(ATTRIBUTE) if context.config else None
    if isinstance(ours, Run):
        return ours
    # Offline and plain `alembic` come through env.py too, so this is a foreign environment.
    raise MigrationError("This revision runs in dbopt's own env.py only.")


def _print(context: MigrationContext, statements: Iterable[str]) -> None:
    with context.autocommit_block():
        for statement in statements:
            context.impl.static_output(f"{statement};\n")
