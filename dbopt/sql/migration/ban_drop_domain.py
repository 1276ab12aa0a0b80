"""DROP DOMAIN: whoever uses it fails."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, "domain")
    if names:
        yield Match(subject, f"{names}: whoever uses it fails from now on.")


RULE = Rule(
    name="ban-drop-domain",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A domain is dropped.",
    reason=(
        "Statements that cast to it or declare it fail (42704). PostgreSQL knows of dependent "
        "objects, not of the application's statements."
    ),
    remedy="Drop it when no deployed application uses it any more, and say so with a marker.",
    fires="DROP DOMAIN IF EXISTS email",
    passes="CREATE DOMAIN email2 AS text",
    check=_check,
    squawk="ban-drop-domain",
)
