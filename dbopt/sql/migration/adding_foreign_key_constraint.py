"""A foreign key that is checked while writes of both tables wait."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Constraint, ConstraintKind, Name
from dbopt.sql.ddl.model import AddColumn, AddConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddConstraint):
        one = added.constraint
        if one.kind is ConstraintKind.FOREIGN_KEY and not one.not_valid and one.enforced:
            instead = rewrites.validate_later(subject, table.target, one)
            yield _match(subject, table.target, one, instead)
    for table, column in altered(subject, AddColumn):
        key = column.column.first(ConstraintKind.FOREIGN_KEY)
        if key is not None and column.column.has(*_FILLED):
            yield _match(subject, table.target, key)
        elif key is not None:
            message = (
                f"{table.target} and {key.references} are locked at once: no row is looked up, but "
                "who uses them waits behind the one lock while the other is waited for."
            )
            yield Match(subject, message, key.at, severity=Severity.WARNING)


_FILLED = (ConstraintKind.DEFAULT, ConstraintKind.GENERATED, ConstraintKind.IDENTITY)
"""What gives the new column values to look up; without, PostgreSQL knows that all are null."""


def _match(subject: Subject, table: Name, one: Constraint, instead: str = "") -> Match:
    other = one.references
    both = other is None or subject.is_new(other) or other.key == table.key
    tables = f"{table}" if both else f"{table} and {other}"
    message = f"Writes to {tables} wait while the foreign key is added."
    return Match(subject, message, one.at, instead=instead)


RULE = Rule(
    name="adding-foreign-key-constraint",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A foreign key is added and checked at once.",
    reason=(
        "It takes a SHARE ROW EXCLUSIVE lock on both tables and holds it while every row of the "
        "one is looked up in the other: no write to either goes on. A column that comes with its "
        "foreign key and is null everywhere needs no look, but the locks, one of them ACCESS "
        "EXCLUSIVE."
    ),
    remedy=(
        "ALTER TABLE a ADD CONSTRAINT a_b_fkey FOREIGN KEY (b_id) REFERENCES b NOT VALID; in a "
        "later transaction ALTER TABLE a VALIDATE CONSTRAINT a_b_fkey. Add a column without "
        "REFERENCES first. Use a short lock_timeout: both tables have to be locked at once."
    ),
    fires="ALTER TABLE orders ADD CONSTRAINT orders_user_fkey FOREIGN KEY (user_id) "
    "REFERENCES users (id)",
    passes="ALTER TABLE orders ADD CONSTRAINT orders_user_fkey FOREIGN KEY (user_id) "
    "REFERENCES users (id) NOT VALID",
    check=_check,
    squawk="adding-foreign-key-constraint",
)
