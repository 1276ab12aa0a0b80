"""ADD CONSTRAINT ... EXCLUDE: its index is built while everybody waits."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddConstraint):
        if added.constraint.kind is ConstraintKind.EXCLUDE:
            message = f"Reads and writes of {table.target} wait while every row is checked."
            yield Match(subject, message, added.constraint.at)


RULE = Rule(
    name="adding-exclusion-constraint",
    severity=Severity.CRITICAL,
    group=Group.INDEX,
    summary="An exclusion constraint is added to a table that is in use.",
    reason=(
        "It builds its index under an ACCESS EXCLUSIVE lock and checks every row against it: all "
        "reads and writes wait. It can be neither NOT VALID nor made of an index that is there."
    ),
    remedy=(
        "Make it on a new table, and move the rows over in batches; or in a window with a short "
        "lock_timeout, after the time has been measured on a copy."
    ),
    fires=(
        "ALTER TABLE bookings ADD CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, "
        "during WITH &&)"
    ),
    passes=(
        "CREATE TABLE IF NOT EXISTS bookings2 (room bigint, during tstzrange, CONSTRAINT "
        "no_overlap EXCLUDE USING gist (room WITH =, during WITH &&))"
    ),
    check=_check,
)
