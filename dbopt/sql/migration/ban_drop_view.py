"""DROP VIEW: whoever uses it fails."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, "view", "materialized view")
    if names:
        yield Match(subject, f"{names}: whoever uses it fails from now on.")


RULE = Rule(
    name="ban-drop-view",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A view is dropped.",
    reason=(
        "Statements that read it fail (42P01). PostgreSQL knows of dependent objects, not of the "
        "application's statements."
    ),
    remedy="Drop it when no deployed application uses it any more, and say so with a marker.",
    fires="DROP VIEW IF EXISTS old_report",
    passes="CREATE OR REPLACE VIEW old_report AS SELECT 1",
    check=_check,
    squawk="ban-drop-view",
)
