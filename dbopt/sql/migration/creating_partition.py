"""CREATE TABLE ... PARTITION OF locks the whole partitioned table."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateTable
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    table = subject.does
    if not isinstance(table, CreateTable) or table.partition_of is None:
        return
    if not subject.is_new(table.partition_of):
        parent = table.partition_of
        yield Match(subject, f"Reads and writes of {parent}, and of all its partitions, wait.")


RULE = Rule(
    name="creating-partition",
    severity=Severity.WARNING,
    group=Group.LOCKING,
    summary="A partition is created in its place.",
    reason=(
        "It needs an ACCESS EXCLUSIVE lock on the partitioned table: it waits for all who use "
        "any partition, and everybody waits behind it; a DEFAULT partition is read as well."
    ),
    remedy=(
        "CREATE TABLE child (LIKE parent INCLUDING ALL EXCLUDING IDENTITY), and then ALTER TABLE "
        "parent ATTACH PARTITION child ..., which takes SHARE UPDATE EXCLUSIVE: reads and writes "
        "go on."
    ),
    fires=(
        "CREATE TABLE IF NOT EXISTS events_2027 PARTITION OF events FOR VALUES FROM "
        "('2027-01-01') TO ('2028-01-01')"
    ),
    passes=(
        "CREATE TABLE IF NOT EXISTS events_2027 (LIKE events INCLUDING ALL EXCLUDING IDENTITY);\n"
        "ALTER TABLE events ATTACH PARTITION events_2027 FOR VALUES FROM ('2027-01-01') TO "
        "('2028-01-01')"
    ),
    check=_check,
)
