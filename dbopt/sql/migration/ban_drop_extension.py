"""DROP EXTENSION: whoever uses it fails."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, "extension")
    if names:
        yield Match(subject, f"{names}: whoever uses it fails from now on.")


RULE = Rule(
    name="ban-drop-extension",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="An extension is dropped.",
    reason=(
        "Its functions, types and operators go with it, and so may the indexes and columns that "
        "use them. PostgreSQL knows of dependent objects, not of the application's statements."
    ),
    remedy="Drop it when no deployed application uses it any more, and say so with a marker.",
    fires="DROP EXTENSION IF EXISTS hstore",
    passes="CREATE EXTENSION IF NOT EXISTS hstore",
    check=_check,
    squawk="ban-drop-extension",
)
