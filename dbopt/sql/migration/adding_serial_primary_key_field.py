"""ADD PRIMARY KEY: its index is built while everybody waits."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Constraint, ConstraintKind, Name
from dbopt.sql.ddl.model import AddColumn, AddConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddConstraint):
        if not added.constraint.using_index:
            yield from _found(subject, table.target, added.constraint)
    for table, column in altered(subject, AddColumn):
        for one in column.column.constraints:
            yield from _found(subject, table.target, one)


def _found(subject: Subject, table: Name, one: Constraint) -> Iterator[Match]:
    if one.kind is ConstraintKind.PRIMARY_KEY:
        message = f"Reads and writes of {table} wait while the primary key's index is built."
        yield Match(subject, message, one.at)


RULE = Rule(
    name="adding-serial-primary-key-field",
    severity=Severity.CRITICAL,
    group=Group.INDEX,
    summary="A primary key is added to a table that is in use.",
    reason=(
        "ADD PRIMARY KEY builds a unique index under an ACCESS EXCLUSIVE lock and makes its "
        "columns NOT NULL, which reads the whole table: all reads and writes wait."
    ),
    remedy=(
        "CREATE UNIQUE INDEX CONCURRENTLY first, with the columns NOT NULL by a validated check, "
        "and then ALTER TABLE ... ADD CONSTRAINT ... PRIMARY KEY USING INDEX ...."
    ),
    fires="ALTER TABLE users ADD PRIMARY KEY (id)",
    passes=("ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_id_idx"),
    check=_check,
    squawk="adding-serial-primary-key-field",
)
