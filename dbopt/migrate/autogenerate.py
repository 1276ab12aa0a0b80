"""The declared indexes in Alembic's comparisons: `alembic check`, `revision --autogenerate`.

In an application's env.py, before context.configure():

    from dbopt.migrate.autogenerate import declared_indexes

    declared_indexes(directory="indexes")

Then an index that is declared and not there is a difference, by meaning and not by its text, and
Alembic does not offer to drop the declared ones since the models lack them.

Source: Alembic's documentation, "Registering Comparison Functions".
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations.ops import (
    AddColumnOp,
    CreateIndexOp,
    CreateTableOp,
    DropIndexOp,
    DropTableOp,
    MigrateOperation,
    ModifyTableOps,
    UpgradeOps,
)

from dbopt.errors import MigrationError
from dbopt.migrate.alembicops import AutocommitBlock
from dbopt.migrate.alembicsession import commanded, reading_dsn, settings_of
from dbopt.migrate.declared import declared, read
from dbopt.migrate.difference import Difference, Table, compare
from dbopt.migrate.environment import SCHEMA
from dbopt.migrate.plan import Step
from dbopt.pg.catalog import Catalog
from dbopt.pg.connect import connect

Name = tuple[str, str]
"""Schema and index."""

MIXED = (
    "What stands above is committed before this: if an index cannot be built, it would be run "
    "again. Better give the indexes a revision of their own."
)
"""The note of a revision that changes tables too."""

_directory: list[Path | None] = []
"""Where the declared indexes are, once an env.py has asked; None: index.directory."""

_log = logging.getLogger("alembic.dbopt")


def declared_indexes(directory: str | Path | None = None) -> None:
    """Compare the declared indexes too, from now on; without a directory, those of index.directory.

    The comparison raises CommandError where they cannot be read, or the database not be asked.
    """
    if not _directory:
        _register()
    _directory[:] = [Path(directory) if directory is not None else None]


def _register() -> None:
    try:
        from alembic.util import DispatchPriority
    except ImportError:  # Alembic < 1.18: what is registered last is called last
        comparators.dispatch_for("schema")(_compare)
    else:
        comparators.dispatch_for("schema", priority=DispatchPriority.LAST)(_compare)


def _compare(context: AutogenContext, found: UpgradeOps, schemas: Iterable[str | None]) -> None:
    """Alembic's comparison has filled `found`; take what is ours out of it, add what differs."""
    if context.dialect.name != "postgresql" or context.connection is None:
        return
    with commanded():
        default = context.connection.dialect.default_schema_name or "public"
        difference = _difference(context, set(_pending(found.ops, default)))
        if difference.unseen:
            _log.warning("No drop is looked for, the store is away: %s", difference.unseen)
        ours = Ours(difference, default)
        found.ops[:] = list(ours.without(found.ops))
        made = difference.operations()
        if made and found.ops:
            made[0].notes = (MIXED, *made[0].notes)
        if made:
            found.ops.append(AutocommitBlock(made))


def _pending(operations: Iterable[MigrateOperation], default: str) -> Iterator[Table]:
    """The tables that Alembic's own operations make, or add columns to."""
    for operation in operations:
        if isinstance(operation, ModifyTableOps):
            yield from _pending(operation.ops, default)
        elif isinstance(operation, CreateTableOp | AddColumnOp):
            schema = operation.schema or default
            yield schema, operation.table_name
            if schema == default:
                yield "", operation.table_name


def _difference(context: AutogenContext, pending: Collection[Table]) -> Difference:
    assert context.connection is not None  # noqa: S101 - looked at before
    settings = settings_of(context.migration_context)
    (directory,) = _directory
    if directory is None:
        declarations = declared(settings)
    elif directory.is_dir():
        declarations = read(directory)
    else:
        raise MigrationError(
            f"{directory}: is no directory.", hint="Correct it in env.py's declared_indexes()."
        )
    dsn = reading_dsn(context.migration_context, context.connection)
    settings = replace(settings, server=replace(settings.server, dsn=dsn))
    with closing(connect(dsn, timeout=settings.server.connect_timeout)) as connection:
        return compare(settings, connection, declarations, pending=pending)


class Ours:
    """Which indexes are dbopt's business, and not that of Alembic's own comparison.

    The declared ones, what they replace or rename, their parts on partitions, what dbopt drops
    itself, and all of dbopt's own schema.
    """

    def __init__(self, difference: Difference, default_schema: str) -> None:
        self._default = default_schema
        names = {name for step in difference.steps for name in _names(step)}
        self._names = names | (_parts(difference.catalog, names) if difference.catalog else set())

    def without(self, operations: Iterable[MigrateOperation]) -> Iterator[MigrateOperation]:
        """The operations but for those on our indexes."""
        for operation in operations:
            if isinstance(operation, ModifyTableOps):
                operation.ops[:] = list(self.without(operation.ops))
                if operation.ops:
                    yield operation
            elif not self._has(operation):
                yield operation

    def _has(self, operation: MigrateOperation) -> bool:
        if isinstance(operation, DropTableOp):
            return operation.schema == SCHEMA
        if not isinstance(operation, CreateIndexOp | DropIndexOp):
            return False
        schema = operation.schema or self._default
        return schema == SCHEMA or (schema, str(operation.index_name)) in self._names


def _names(step: Step) -> Iterator[Name]:
    yield step.definition.schema, step.definition.name
    if step.existing is not None:
        yield step.existing.definition.schema, step.existing.name
    for part in step.partitions:
        yield from _names(part)


def _parts(catalog: Catalog, names: set[Name]) -> set[Name]:
    """The names of the indexes that are parts of these, at any depth."""
    oids = {
        index.oid for index in catalog.indexes if (index.definition.schema, index.name) in names
    }
    found: set[Any] = set()
    while True:
        children = [index for index in catalog.indexes if index.parent in oids]
        if not children:
            return found
        found |= {(index.definition.schema, index.name) for index in children}
        oids = {index.oid for index in children}
