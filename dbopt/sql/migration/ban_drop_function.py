"""DROP FUNCTION: whoever uses it fails."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped

_KINDS = frozenset({"function", "procedure", "routine", "aggregate"})


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, *_KINDS)
    if names:
        yield Match(subject, f"{names}: whoever uses it fails from now on.")


RULE = Rule(
    name="ban-drop-function",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A function is dropped.",
    reason=(
        "Statements, triggers and jobs that call it fail (42883). PostgreSQL knows of dependent "
        "objects, not of the application's statements."
    ),
    remedy="Drop it when no deployed application uses it any more, and say so with a marker.",
    fires="DROP FUNCTION IF EXISTS total(bigint)",
    passes="CREATE OR REPLACE FUNCTION total(bigint) RETURNS bigint LANGUAGE sql RETURN $1",
    check=_check,
    squawk="ban-drop-function",
)
