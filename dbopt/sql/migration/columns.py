"""The columns that a statement gives a type to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dbopt.sql.ddl.elements import Column, ConstraintKind, Name, TypeName
from dbopt.sql.ddl.model import AddColumn, Alter, AlterColumn, CreateTable
from dbopt.sql.migration.context import Subject

BOOKKEEPING = frozenset(
    {"alembic_version", "django_migrations", "schema_migrations", "flyway_schema_history"}
    | {"databasechangelog", "databasechangeloglock", "ar_internal_metadata", "_prisma_migrations"}
    | {"__EFMigrationsHistory", "goose_db_version", "knex_migrations", "knex_migrations_lock"}
    | {"_sqlx_migrations", "gorp_migrations", "pgmigrations", "atlas_schema_revisions"}
)
"""Tables that migration tools keep for themselves, and write with every migration."""
SERIALS = frozenset({"serial", "bigserial", "smallserial"})


class Typed(NamedTuple):
    """A column and its type; `column` is None where ALTER COLUMN changes the type.

    `key`: it is, or points at, a primary key.
    """

    table: Name
    name: str
    type: TypeName
    column: Column | None
    key: bool


def typed(subject: Subject) -> Iterator[Typed]:
    """All columns that CREATE TABLE, ADD COLUMN and ALTER COLUMN ... TYPE name a type of.

    Temporary tables are left out, and those of migration tools.
    """
    node = subject.does
    if isinstance(node, CreateTable):
        if node.temporary or node.table.name in BOOKKEEPING:
            return
        for column in node.columns:
            if column.type is not None:
                yield Typed(node.table, column.name, column.type, column, _is_key(column, node))
    elif isinstance(node, Alter):
        yield from _altered(node)


def _altered(node: Alter) -> Iterator[Typed]:
    for action in node.actions:
        if isinstance(action, AddColumn) and action.column.type is not None:
            column = action.column
            yield Typed(node.target, column.name, action.column.type, column, _is_key(column))
        elif isinstance(action, AlterColumn) and action.type is not None:
            yield Typed(node.target, action.column, action.type, None, key=False)


def _is_key(column: Column, table: CreateTable | None = None) -> bool:
    kinds = (ConstraintKind.PRIMARY_KEY, ConstraintKind.IDENTITY, ConstraintKind.FOREIGN_KEY)
    if column.has(*kinds) or (column.type is not None and column.type.name in SERIALS):
        return True
    keys = () if table is None else table.constraints
    return any(one.kind in kinds and column.name in one.columns for one in keys)
