"""UPDATE or DELETE of a whole table: its rows are locked until the end."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Write
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    write = subject.does
    if not isinstance(write, Write) or write.command not in {"update", "delete"}:
        return
    if not write.filtered and not subject.is_new(write.table):
        message = f"Every row of {write.table} is locked and written by one statement."
        yield Match(subject, message)


RULE = Rule(
    name="backfill-in-one-statement",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="One statement writes every row of a table.",
    reason=(
        "Every row stays locked until it commits, so all writers of them wait; the table and its "
        "indexes grow by as much again; the replicas fall behind, and VACUUM can clean nothing "
        "meanwhile."
    ),
    remedy=(
        "Write in batches by key, each in a transaction of its own, outside of the migration. To "
        "empty a table: TRUNCATE, with a short lock_timeout."
    ),
    fires="UPDATE users SET country = ''",
    passes="UPDATE users SET country = '' WHERE id BETWEEN 1 AND 1000",
    check=_check,
)
