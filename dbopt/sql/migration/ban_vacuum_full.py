"""VACUUM FULL and CLUSTER: the table is rewritten while everybody waits."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Maintain
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    does = subject.does
    if not isinstance(does, Maintain) or does.concurrently:
        return
    if not does.full and does.command not in {"cluster", "repack"}:
        return
    tables = [str(table) for table in does.tables if not subject.is_new(table)]
    if tables or not does.tables:
        what = ", ".join(tables) or "every table"
        yield Match(subject, f"All reads and writes of {what} wait until it is written anew.")


RULE = Rule(
    name="ban-vacuum-full",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A table is rewritten by VACUUM FULL, CLUSTER or REPACK.",
    reason=(
        "They hold an ACCESS EXCLUSIVE lock while they write the table and all of its indexes "
        "anew: all reads and writes wait, and twice the space is needed."
    ),
    remedy=(
        "Plain VACUUM makes room for new rows without such a lock. To give space back: the "
        "extension pg_repack, or from PostgreSQL 19 on REPACK (CONCURRENTLY)."
    ),
    fires="VACUUM FULL users",
    passes="VACUUM (ANALYZE) users",
    check=_check,
    squawk="prefer-repack",
)
