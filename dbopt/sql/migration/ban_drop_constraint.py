"""DROP CONSTRAINT: what others rely on holds no longer."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import (
    AddConstraint,
    AlterColumn,
    AttachPartition,
    Change,
    DropConstraint,
    Node,
)
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check_migration(migration: Migration) -> Iterator[Match]:
    """But for one that is made again, or that the text itself has added; and for what has served
    as the proof of a NOT NULL or a partition's bounds, which hold it from then on."""
    named: set[tuple[tuple[str, str], str]] = set()
    proven: set[tuple[str, str]] = set()
    for subject in migration.telling:
        for table, added in altered(subject, AddConstraint):
            named.add((table.target.key, added.constraint.name))
    for subject in migration.telling:
        for table, other in altered(subject, Node):
            if isinstance(other, AlterColumn) and other.change is Change.SET_NOT_NULL:
                proven.add(table.target.key)
            elif isinstance(other, AttachPartition):
                proven.add(other.partition.key)
        for table, action in altered(subject, DropConstraint):
            key = table.target.key
            if (key, action.name) not in named and key not in proven:
                message = f"{action.name} of {table.target} holds no longer."
                yield Match(subject, message, action.at)


RULE = Rule(
    name="ban-drop-constraint",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A constraint is dropped.",
    reason=(
        "Rows that break it can come in at once, and then it cannot be added again. A foreign "
        "key's drop takes an ACCESS EXCLUSIVE lock on both tables; a unique one's index goes "
        "with it."
    ),
    remedy=(
        "Add the constraint that replaces it first. Drop it with a short lock_timeout, and say "
        "why with a marker."
    ),
    fires="ALTER TABLE users DROP CONSTRAINT IF EXISTS users_email_key",
    passes=("ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_idx"),
    check_migration=_check_migration,
    squawk="ban-drop-constraint",
)
