"""ATTACH PARTITION of a table with rows: they are all read, under a lock."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddConstraint, AttachPartition
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check_migration(migration: Migration) -> Iterator[Match]:
    checked: set[tuple[str, str]] = set()
    for subject in migration.telling:
        for table, added in altered(subject, AddConstraint):
            if added.constraint.kind is ConstraintKind.CHECK:
                checked.add(table.target.key)
        for _, action in altered(subject, AttachPartition):
            known = action.partition.key in checked or subject.is_new(action.partition)
            if not known:
                message = f"Every row of {action.partition} is read while nobody can use it."
                yield Match(subject, message, action.at)


RULE = Rule(
    name="attaching-partition-without-check",
    severity=Severity.INFO,
    group=Group.LOCKING,
    summary="A table is attached as a partition without a check that proves its bounds.",
    reason=(
        "Every row of the new partition is read under an ACCESS EXCLUSIVE lock on it, unless a "
        "validated CHECK says what the bounds say, IS NOT NULL among it; and every row of the "
        "DEFAULT partition, unless one there excludes them."
    ),
    remedy=(
        "ALTER TABLE child ADD CONSTRAINT c CHECK (column IS NOT NULL AND column >= low AND "
        "column < high) NOT VALID; VALIDATE CONSTRAINT c; then ATTACH PARTITION, and DROP "
        "CONSTRAINT c."
    ),
    fires=(
        "ALTER TABLE events ATTACH PARTITION events_2019 FOR VALUES FROM ('2019-01-01') TO "
        "('2020-01-01')"
    ),
    passes=(
        "ALTER TABLE events_2019 ADD CONSTRAINT c CHECK (at IS NOT NULL AND at >= '2019-01-01' "
        "AND at < '2020-01-01') NOT VALID;\n"
        "ALTER TABLE events_2019 VALIDATE CONSTRAINT c;\n"
        "ALTER TABLE events ATTACH PARTITION events_2019 FOR VALUES FROM ('2019-01-01') TO "
        "('2020-01-01')"
    ),
    check_migration=_check_migration,
)
