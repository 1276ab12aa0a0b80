"""TRUNCATE ... CASCADE empties tables that nobody named."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Truncate
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    node = subject.does
    if not isinstance(node, Truncate) or node.cascade is None:
        return
    names = [str(table) for table in node.tables if not subject.is_new(table)]
    if names:
        message = f"Every table that refers to {', '.join(names)} is emptied too."
        yield Match(subject, message, node.cascade)


RULE = Rule(
    name="ban-truncate-cascade",
    severity=Severity.CRITICAL,
    group=Group.DATA,
    summary="TRUNCATE with CASCADE.",
    reason=(
        "Every table with a foreign key to one of these is emptied too, and so on, under ACCESS "
        "EXCLUSIVE locks on all of them."
    ),
    remedy="Name each table that is to be emptied, and leave CASCADE out.",
    fires="TRUNCATE users CASCADE",
    passes="TRUNCATE users, sessions",
    check=_check,
    squawk="ban-truncate-cascade",
)
