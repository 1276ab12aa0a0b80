"""What the revision of the declared indexes does; `migrations/versions/` calls it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from alembic.runtime.migration import MigrationContext

from dbopt.errors import MigrationError
from dbopt.migrate.apply import build, remove
from dbopt.migrate.declared import Declared, declared
from dbopt.migrate.environment import ATTRIBUTE, Run, alone
from dbopt.pg import ddl
from dbopt.pg.connect import Connection, connect

STORE_ONLY = "dbopt migrate upgrade --schema-only"
"""What makes dbopt's own schema alone."""


def upgrade_declared(context: MigrationContext) -> None:
    """Build every declared index concurrently; offline, print the statements.

    Every definition is checked before the first is built. What a failed run has built stays,
    and the next run goes on from there. Raises DeclarationError and MigrationError.
    """
    ours = _run(context)
    found = declared(ours.settings) if ours.indexes else []
    if context.as_sql:
        _print(context, [one.definition.create_sql(concurrently=True) for one in found])
        return
    with _direct(context, ours) as connection:
        _build(connection, found, ours)


def catch_up(ours: Run) -> None:
    """Build what was declared, or was lost, since the revision was applied.

    Raises as `upgrade_declared` does.
    """
    found = declared(ours.settings)
    if not found:
        return
    with alone(ours) as connection:
        _build(connection, found, ours)


def _build(connection: Connection, found: Sequence[Declared], ours: Run) -> None:
    for one in found:
        _check(connection, one)
    for one in found:
        ours.built.append(build(connection, one.definition, ours.settings.migrate, ours.progress))


def downgrade_declared(context: MigrationContext) -> None:
    """Drop the declared indexes concurrently, those that are still as declared."""
    ours = _run(context)
    found = declared(ours.settings) if ours.indexes else []
    if context.as_sql:
        _print(context, [ddl.drop_text(one.definition) for one in reversed(found)])
        return
    with _direct(context, ours) as connection:
        for one in reversed(found):
            remove(connection, one.definition, ours.settings.migrate)


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


@contextmanager
def _direct(context: MigrationContext, ours: Run) -> Iterator[Connection]:
    """A session of our own; Alembic's is outside a transaction meanwhile."""
    with context.autocommit_block(), connect(ours.dsn) as connection:
        yield connection


def _check(connection: Connection, one: Declared) -> None:
    try:
        ddl.canonical(connection, one.definition)
    except MigrationError as error:
        raise MigrationError(
            f"{one.where}: {error.message}",
            hint=f"{error.hint} dbopt's own schema alone: `{STORE_ONLY}`.",
        ) from None
