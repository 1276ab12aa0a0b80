"""ADD COLUMN ... NOT NULL without a default: it fails, or breaks who inserts."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddColumn, AlterColumn, Change
from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import SERIALS
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered

_FILLED = (ConstraintKind.DEFAULT, ConstraintKind.GENERATED, ConstraintKind.IDENTITY)


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddColumn):
        column = added.column
        serial = column.type is not None and column.type.name in SERIALS
        if column.has(ConstraintKind.NOT_NULL) and not column.has(*_FILLED) and not serial:
            message = (
                f"The rows of {table.target} have no value for {column.name}, and nor have the "
                "INSERTs of the application that runs."
            )
            yield Match(subject, message, column.at)


def _check_migration(migration: Migration) -> Iterator[Match]:
    """A default that goes as soon as the rows have it, as Django's does."""
    filled: set[tuple[tuple[str, str], str]] = set()
    for subject in migration.telling:
        for table, added in altered(subject, AddColumn):
            if added.column.has(ConstraintKind.NOT_NULL) and added.column.has(*_FILLED):
                filled.add((table.target.key, added.column.name))
        for table, action in altered(subject, AlterColumn):
            place = (table.target.key, action.column)
            if action.change is Change.DROP_DEFAULT and place in filled:
                message = (
                    f"The INSERTs of the application that runs have no value for {action.column}, "
                    f"which {table.target} requires."
                )
                yield Match(subject, message, action.at, remedy=_KEEP)


_KEEP = (
    "Keep the default until the application that writes the column is everywhere; in Django with "
    "db_default."
)

RULE = Rule(
    name="adding-required-field",
    severity=Severity.CRITICAL,
    group=Group.DATA,
    summary="A column is added that is NOT NULL and has no default.",
    reason=(
        "On a table with rows it fails (23502). On an empty one every INSERT of the running "
        "application fails, since it knows nothing of the column."
    ),
    remedy=(
        "Add it with a constant DEFAULT, or nullable; make it NOT NULL when the application "
        "writes it, by a check that is validated first."
    ),
    fires="ALTER TABLE users ADD COLUMN IF NOT EXISTS country text NOT NULL",
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS country text NOT NULL DEFAULT ''",
    check=_check,
    check_migration=_check_migration,
    squawk="adding-required-field",
)
