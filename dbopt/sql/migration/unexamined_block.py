"""DO and CALL: what runs inside is not looked at."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Block
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    if isinstance(subject.does, Block):
        message = f"What {subject.does.command.upper()} runs has not been looked at."
        yield Match(subject, message, examined=False)


RULE = Rule(
    name="unexamined-block",
    severity=Severity.INFO,
    group=Group.ROBUSTNESS,
    summary="Code runs that no rule can look at.",
    reason=(
        "A DO block or a procedure may run any statement, built from strings too, with any lock, "
        "in one transaction."
    ),
    remedy=(
        "Write the statements themselves where it is possible; else look at the locks yourself, "
        "and say so with a marker."
    ),
    fires="DO $$ BEGIN EXECUTE 'DROP TABLE users'; END $$",
    passes="SELECT count(*) FROM users",
    check=_check,
)
