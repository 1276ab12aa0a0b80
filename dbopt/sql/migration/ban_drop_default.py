"""DROP DEFAULT: INSERTs that rely on it leave nulls, or fail."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import AddColumn, AlterColumn, Change
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check_migration(migration: Migration) -> Iterator[Match]:
    """But for the default of a column that the text itself has added."""
    added: set[tuple[tuple[str, str], str]] = set()
    again = _set_again(migration)
    for subject in migration.telling:
        for table, one in altered(subject, AddColumn):
            added.add((table.target.key, one.column.name))
        for table, action in altered(subject, AlterColumn):
            place = (table.target.key, action.column)
            comes_back = subject.transaction in again.get(place, ())
            if action.change is Change.DROP_DEFAULT and place not in added and not comes_back:
                message = f"INSERTs that leave {table.target}.{action.column} out write a null."
                yield Match(subject, message, action.at)


def _set_again(migration: Migration) -> dict[tuple[tuple[str, str], str], set[int]]:
    """The transactions in which a column is given a default."""
    found: dict[tuple[tuple[str, str], str], set[int]] = {}
    for subject in migration.telling:
        for table, action in altered(subject, AlterColumn):
            if action.change is Change.SET_DEFAULT and subject.transaction is not None:
                found.setdefault((table.target.key, action.column), set()).add(subject.transaction)
    return found


RULE = Rule(
    name="ban-drop-default",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A column's default is dropped.",
    reason=(
        "The running application's INSERTs that leave the column out write a null from now on, "
        "or fail if it is NOT NULL."
    ),
    remedy="Deploy an application that gives the value itself, and drop the default later.",
    fires="ALTER TABLE users ALTER COLUMN country DROP DEFAULT",
    passes="ALTER TABLE users ALTER COLUMN country SET DEFAULT ''",
    check_migration=_check_migration,
    squawk="ban-drop-default",
)
