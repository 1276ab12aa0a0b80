"""DETACH PARTITION without CONCURRENTLY: the whole partitioned table waits."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import DetachPartition
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    if subject.version < 14:
        return
    for table, action in altered(subject, DetachPartition):
        if not action.concurrently and not action.finalize:
            message = (
                f"Reads and writes of {table.target}, and of every partition of it, wait while "
                f"{action.partition} is detached."
            )
            yield Match(
                subject, message, action.at, instead=rewrites.detach(subject, table, action)
            )


RULE = Rule(
    name="require-concurrent-partition-detach",
    severity=Severity.WARNING,
    group=Group.LOCKING,
    summary="A partition is detached without CONCURRENTLY.",
    reason=(
        "DETACH PARTITION needs an ACCESS EXCLUSIVE lock on the partitioned table: it waits for "
        "all who use any of its partitions, and everybody waits behind it."
    ),
    remedy=(
        "ALTER TABLE parent DETACH PARTITION child CONCURRENTLY (PostgreSQL 14), outside of a "
        "transaction; not where there is a DEFAULT partition."
    ),
    fires="ALTER TABLE events DETACH PARTITION events_2019",
    passes="ALTER TABLE events DETACH PARTITION events_2019 CONCURRENTLY",
    check=_check,
    squawk="require-concurrent-partition-detach",
)
