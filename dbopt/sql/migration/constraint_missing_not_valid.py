"""A constraint that is checked against every row while others wait."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddColumn, AddConstraint, ValidateConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered

_WAITING = {
    ConstraintKind.CHECK: "reads and writes",
    ConstraintKind.NOT_NULL: "reads and writes",
    ConstraintKind.FOREIGN_KEY: "writes",
}


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddConstraint):
        one = added.constraint
        if one.kind in _WAITING and not one.not_valid and one.enforced:
            message = (
                f"{_WAITING[one.kind].capitalize()} of {table.target} wait while every row is "
                "checked."
            )
            nullable = one.kind is not ConstraintKind.NOT_NULL or subject.version >= 18
            instead = rewrites.validate_later(subject, table.target, one) if nullable else ""
            yield Match(subject, message, one.at, instead=instead)
    for table, column in altered(subject, AddColumn):
        check = column.column.first(ConstraintKind.CHECK)
        if check is not None and check.enforced:
            message = f"Reads and writes of {table.target} wait while every row is checked."
            yield Match(subject, message, check.at, remedy=_APART)


_APART = (
    "Add the column without the check; then ADD CONSTRAINT ... CHECK (...) NOT VALID, and in a "
    "later transaction VALIDATE CONSTRAINT."
)


def _check_migration(migration: Migration) -> Iterator[Match]:
    """VALIDATE in the transaction that added it: the first lock is held all the while."""
    added: dict[tuple[tuple[str, str], str], int | None] = {}
    for subject in migration.telling:
        for table, action in altered(subject, AddConstraint):
            added[table.target.key, action.constraint.name] = subject.transaction
        for table, validated in altered(subject, ValidateConstraint):
            within = added.get((table.target.key, validated.name))
            if within is not None and within == subject.transaction:
                message = (
                    f"The lock of ADD CONSTRAINT on {table.target} is held until this transaction "
                    "ends, and so while every row is checked."
                )
                yield Match(subject, message, validated.at, remedy=_LATER)


_LATER = "COMMIT between the two: VALIDATE CONSTRAINT alone lets reads and writes go on."

RULE = Rule(
    name="constraint-missing-not-valid",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A check or a foreign key is added without NOT VALID, or validated too early.",
    reason=(
        "ADD CONSTRAINT reads the whole table under its lock: ACCESS EXCLUSIVE for a check, so all "
        "wait; SHARE ROW EXCLUSIVE on both tables for a foreign key, so writes wait."
    ),
    remedy=(
        "ADD CONSTRAINT ... NOT VALID, which is instant and holds for new rows; then, in another "
        "transaction, ALTER TABLE ... VALIDATE CONSTRAINT, which blocks neither reads nor writes. "
        "NOT NULL can be NOT VALID from PostgreSQL 18 on."
    ),
    fires="ALTER TABLE users ADD CONSTRAINT aged CHECK (age >= 0)",
    passes="ALTER TABLE users ADD CONSTRAINT aged CHECK (age >= 0) NOT VALID",
    check=_check,
    check_migration=_check_migration,
    squawk="constraint-missing-not-valid",
)
