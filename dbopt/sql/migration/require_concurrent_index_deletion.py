"""DROP INDEX without CONCURRENTLY: everybody waits behind it."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Drop
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    drop = subject.does
    if not isinstance(drop, Drop) or drop.kind != "index" or drop.concurrently:
        return
    found = [str(name) for name in drop.names if not subject.is_new(name)]
    if found:
        yield Match(
            subject,
            f"Reads and writes of the table wait until {', '.join(found)} could be locked and "
            "dropped.",
            instead=rewrites.drop_indexes(subject, drop),
        )


RULE = Rule(
    name="require-concurrent-index-deletion",
    severity=Severity.WARNING,
    group=Group.INDEX,
    summary="An index is dropped without CONCURRENTLY.",
    reason=(
        "DROP INDEX needs an ACCESS EXCLUSIVE lock on the table. It waits for every statement and "
        "transaction that uses the table, and all who come later wait behind it, reads too."
    ),
    remedy=(
        "DROP INDEX CONCURRENTLY, outside of a transaction; or take the index out of "
        "indexes/*.sql and let `dbopt index apply` drop it. The index of a partitioned table has "
        "no CONCURRENTLY: drop it with a short lock_timeout, and retry."
    ),
    fires="DROP INDEX users_email_idx",
    passes="DROP INDEX CONCURRENTLY IF EXISTS users_email_idx",
    check=_check,
    squawk="require-concurrent-index-deletion",
)
