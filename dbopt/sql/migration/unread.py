"""A statement that the rules need and that could not be read: nothing is known of it."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Span
from dbopt.sql.ddl.model import Unread
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.parse import LONGEST_READ


def _check(subject: Subject) -> Iterator[Match]:
    if isinstance(subject.does, Unread):
        words = " ".join(subject.does.words[:2]).upper()
        message = f"{words} could not be read: {subject.does.reason}."
        yield Match(subject, message, examined=False)


def _check_migration(migration: Migration) -> Iterator[Match]:
    if migration.cut and migration.placed:
        yield Match(
            migration.placed[-1],
            f"Only the first {LONGEST_READ} characters were read.",
            Span(LONGEST_READ, LONGEST_READ),
            remedy="Split the migration.",
            examined=False,
        )


RULE = Rule(
    name="unread",
    severity=Severity.WARNING,
    group=Group.ROBUSTNESS,
    summary="A statement that could not be read.",
    reason="No rule has looked at it, so it is not known to be free of what they find.",
    remedy=(
        "Check its syntax. If PostgreSQL takes it, look at its locks yourself, and say so with "
        "`-- dbopt:ignore unread REASON`."
    ),
    fires="ALTER TABLE users ADD CONSTRAINT CHECK",
    passes="ALTER TABLE users ADD CONSTRAINT aged CHECK (age >= 0) NOT VALID",
    check=_check,
    check_migration=_check_migration,
    squawk="syntax-error",
)
