"""DISABLE TRIGGER: what the triggers keep right goes wrong meanwhile, for all."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import OtherAction
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, action in altered(subject, OtherAction):
        if action.words == ("disable", "trigger"):
            message = f"The triggers of {table.target} are off for everybody."
            yield Match(subject, message, action.at)


RULE = Rule(
    name="ban-disable-trigger",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="Triggers of a table are disabled.",
    reason=(
        "They are off for every session, not for this one alone, and ALL turns foreign keys off "
        "too: rows that break them stay. It takes a SHARE ROW EXCLUSIVE lock."
    ),
    remedy=(
        "SET session_replication_role = replica for one session (superusers), or a condition in "
        "the trigger; enable it again in the same transaction."
    ),
    fires="ALTER TABLE users DISABLE TRIGGER ALL",
    passes="ALTER TABLE users ENABLE TRIGGER ALL",
    check=_check,
    squawk="ban-disable-trigger",
)
