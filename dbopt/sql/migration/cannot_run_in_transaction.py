"""A command that PostgreSQL refuses in a transaction."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import (
    AddEnumValue,
    Alter,
    Create,
    DetachPartition,
    Drop,
    Maintain,
    Node,
    Reindex,
)
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    if subject.transaction is not None and _refused(subject.does, subject.version):
        words = " ".join(subject.sql.split(None, 2)[:2]).upper()
        yield Match(subject, f"This {words} cannot run inside a transaction: it will fail.")


def _refused(does: Node, version: int) -> bool:
    if isinstance(does, Drop):
        return does.concurrently or does.kind in {"database", "tablespace"}
    if isinstance(does, Reindex):
        return does.concurrently or does.what in {"schema", "database", "system"}
    if isinstance(does, Maintain):
        alone = does.command in {"cluster", "repack"} and not does.tables
        return does.command == "vacuum" or does.concurrently or alone
    if isinstance(does, Alter):
        return does.kind == "system" or any(
            isinstance(one, DetachPartition) and one.concurrently for one in does.actions
        )
    if isinstance(does, AddEnumValue):
        return version < 12
    return isinstance(does, Create) and does.kind in {"database", "tablespace"}


RULE = Rule(
    name="cannot-run-in-transaction",
    severity=Severity.CRITICAL,
    group=Group.ROBUSTNESS,
    summary="A command that cannot run in a transaction runs in one.",
    reason=(
        "VACUUM, DROP INDEX CONCURRENTLY, REINDEX CONCURRENTLY, DETACH PARTITION CONCURRENTLY, "
        "CREATE DATABASE and the like commit by themselves, so PostgreSQL refuses them in a "
        "transaction (25001)."
    ),
    remedy=(
        "Run it outside: in Alembic `with op.get_context().autocommit_block():`; in a file of "
        "its own where the tool opens a transaction a file."
    ),
    fires="BEGIN;\nDROP INDEX CONCURRENTLY IF EXISTS users_email_idx;\nCOMMIT",
    passes="DROP INDEX CONCURRENTLY IF EXISTS users_email_idx",
    check=_check,
)
