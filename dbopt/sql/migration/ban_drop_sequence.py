"""DROP SEQUENCE: whoever uses it fails."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, dropped


def _check(subject: Subject) -> Iterator[Match]:
    names = dropped(subject, "sequence")
    if names:
        yield Match(subject, f"{names}: whoever uses it fails from now on.")


RULE = Rule(
    name="ban-drop-sequence",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A sequence is dropped.",
    reason=(
        "INSERTs that take their numbers from it fail, and the last number is lost. PostgreSQL "
        "knows of dependent objects, not of the application's statements."
    ),
    remedy="Drop it when no deployed application uses it any more, and say so with a marker.",
    fires="DROP SEQUENCE IF EXISTS users_id_seq",
    passes="ALTER SEQUENCE users_id_seq OWNER TO app",
    check=_check,
    squawk="ban-drop-sequence",
)
