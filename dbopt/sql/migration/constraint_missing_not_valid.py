"""A constraint that is checked against every row while others wait."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddColumn, AddConstraint, ValidateConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.locks import Lock, Mode, locks
from dbopt.sql.migration.support import Group, Match, Rule, altered

_CHECKED = frozenset({ConstraintKind.CHECK, ConstraintKind.NOT_NULL})
"""A foreign key has a rule of its own."""


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddConstraint):
        one = added.constraint
        if one.kind in _CHECKED and not one.not_valid and one.enforced:
            message = f"Reads and writes of {table.target} wait while every row is checked."
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
    """VALIDATE under a stronger lock than its own: of its statement, or of its transaction."""
    held: dict[tuple[str, str], tuple[Lock, int | None]] = {}
    for subject in migration.telling:
        taken = {one.relation.key: one for one in locks(subject) if one.mode >= Mode.SHARE}
        for table, validated in altered(subject, ValidateConstraint):
            before, within = held.get(table.target.key, (None, None))
            if within is None or within != subject.transaction:
                before = None
            lock = taken.get(table.target.key, before)
            if lock is not None:
                message = (
                    f"{lock.mode} on {table.target} is held while every row is checked: "
                    f"{lock.mode.blocks} wait."
                )
                yield Match(subject, message, validated.at, remedy=_LATER)
        held |= {key: (lock, subject.transaction) for key, lock in taken.items()}


_LATER = (
    "VALIDATE CONSTRAINT in a statement and a transaction of its own: alone it lets reads and "
    "writes go on."
)

RULE = Rule(
    name="constraint-missing-not-valid",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A check is added without NOT VALID, or a constraint is validated too early.",
    reason=(
        "ADD CONSTRAINT reads the whole table under an ACCESS EXCLUSIVE lock, so all wait. For "
        "a foreign key see adding-foreign-key-constraint."
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
