"""DROP SCHEMA: whoever uses it fails."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, "schema")
    if names:
        yield Match(subject, f"{names}: whoever uses it fails from now on.")


RULE = Rule(
    name="ban-drop-schema",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A schema is dropped.",
    reason=(
        "Whoever names it, or has it in search_path, no longer finds what was in it. PostgreSQL "
        "knows of dependent objects, not of the application's statements."
    ),
    remedy="Drop it when no deployed application uses it any more, and say so with a marker.",
    fires="DROP SCHEMA IF EXISTS archive",
    passes="CREATE SCHEMA IF NOT EXISTS archive",
    check=_check,
    squawk="ban-drop-schema",
)
