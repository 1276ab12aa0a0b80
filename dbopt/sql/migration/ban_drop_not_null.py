"""DROP NOT NULL: readers that never met a null may."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import AlterColumn, Change
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, action in altered(subject, AlterColumn):
        if action.change is Change.DROP_NOT_NULL:
            message = f"{table.target}.{action.column} may be null from now on."
            yield Match(subject, message, action.at)


RULE = Rule(
    name="ban-drop-not-null",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A column may be null from now on.",
    reason=(
        "The lock is short, but code that reads the column and was never made for nulls may "
        "fail, and a NOT IN subquery over it finds nothing."
    ),
    remedy="Make sure that every reader can take a null, and say so with a marker.",
    fires="ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
    passes="ALTER TABLE users ALTER COLUMN email DROP DEFAULT",
    check=_check,
    squawk="ban-drop-not-null",
)
