"""DROP TABLE: the application that runs still uses it, and its data is gone."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, "table", "foreign table")
    if names:
        yield Match(subject, f"{names}: whoever uses it fails, and its data is gone.")


RULE = Rule(
    name="ban-drop-table",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A table is dropped.",
    reason=(
        "Whoever uses it fails (42P01), and its data cannot be had back. A foreign key from it "
        "costs an ACCESS EXCLUSIVE lock on the table that it points at too, and a partition one "
        "on the table that it is a part of."
    ),
    remedy=(
        "Deploy an application that does not know the table; rename it for some days; then drop "
        "it, and say so with a marker."
    ),
    fires="DROP TABLE IF EXISTS old_events",
    passes="TRUNCATE old_events",
    check=_check,
    squawk="ban-drop-table",
)
