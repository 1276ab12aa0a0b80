"""DROP ... CASCADE: more goes than is named."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Drop, DropColumn, DropConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    drop = subject.does
    if isinstance(drop, Drop) and drop.cascade:
        names = [str(name) for name in drop.names if not subject.is_new(name, drop.kind)]
        if names:
            yield Match(subject, f"Whatever depends on {', '.join(names)} is dropped too, unseen.")
    for table, action in altered(subject, DropColumn):
        if action.cascade:
            what = f"{table.target}.{action.column}"
            yield Match(subject, f"Whatever depends on {what} is dropped too.", action.at)
    for table, constraint in altered(subject, DropConstraint):
        if constraint.cascade:
            what = f"{constraint.name} of {table.target}"
            yield Match(subject, f"Whatever depends on {what} is dropped too.", constraint.at)


RULE = Rule(
    name="ban-drop-cascade",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="Something is dropped with all that depends on it.",
    reason=(
        "Views, foreign keys, functions and columns that depend on it are dropped too, with an "
        "ACCESS EXCLUSIVE lock on each table that is touched. What they are depends on the "
        "database, so a test may drop less than production."
    ),
    remedy=(
        "Drop the dependent objects by name, and leave CASCADE out: PostgreSQL then refuses what "
        "was forgotten."
    ),
    fires="DROP VIEW IF EXISTS totals CASCADE",
    passes="DROP VIEW IF EXISTS totals",
    check=_check,
)
