"""ADD CONSTRAINT ... UNIQUE: its index is built while everybody waits."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddColumn, AddConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddConstraint):
        one = added.constraint
        if one.kind is ConstraintKind.UNIQUE and not one.using_index:
            message = f"Reads and writes of {table.target} wait while the unique index is built."
            instead = rewrites.unique_by_index(subject, table.target, one)
            yield Match(subject, message, one.at, instead=instead)
    for table, column in altered(subject, AddColumn):
        unique = column.column.first(ConstraintKind.UNIQUE)
        if unique is not None:
            message = f"Reads and writes of {table.target} wait while the unique index is built."
            yield Match(subject, message, unique.at)


RULE = Rule(
    name="disallowed-unique-constraint",
    severity=Severity.CRITICAL,
    group=Group.INDEX,
    summary="A unique constraint is added without an index that is there already.",
    reason=(
        "ADD CONSTRAINT ... UNIQUE builds its index under an ACCESS EXCLUSIVE lock: all reads and "
        "writes of the table wait until it is done."
    ),
    remedy=(
        "CREATE UNIQUE INDEX CONCURRENTLY name ON table (columns), and then "
        "ALTER TABLE table ADD CONSTRAINT name UNIQUE USING INDEX name, which is instant."
    ),
    fires="ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE (email)",
    passes="ALTER TABLE users ADD CONSTRAINT users_email_key UNIQUE USING INDEX users_email_idx",
    check=_check,
    squawk="disallowed-unique-constraint",
)
