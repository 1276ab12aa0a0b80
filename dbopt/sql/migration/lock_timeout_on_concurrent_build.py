"""A lock_timeout around CREATE INDEX CONCURRENTLY: it ends half-way."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateIndex, Node, Reindex
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.migration.timeouts import LOCK_TIMEOUT, bounds


def _check_migration(migration: Migration) -> Iterator[Match]:
    for subject, bounded in bounds(migration, LOCK_TIMEOUT):
        if bounded and _waits(subject.does):
            message = (
                "lock_timeout counts the wait for other transactions too: it may end this half-way "
                "and leave an invalid index."
            )
            yield Match(subject, message)


def _waits(does: Node) -> bool:
    if isinstance(does, Reindex):
        return does.concurrently
    return isinstance(does, CreateIndex) and does.concurrently is not None


RULE = Rule(
    name="lock-timeout-on-concurrent-build",
    severity=Severity.WARNING,
    group=Group.INDEX,
    summary="An index is built concurrently while a lock_timeout is set.",
    reason=(
        "CREATE INDEX CONCURRENTLY waits for every older snapshot, also of transactions on other "
        "tables, and lock_timeout counts that wait: it ends with 55P03 and leaves an INVALID "
        "index behind, which costs every write and serves no read."
    ),
    remedy=(
        "SET lock_timeout = 0 before it (nobody queues behind it), bound it with "
        "statement_timeout, and drop what a failed build has left; or let `dbopt index apply` do "
        "all that."
    ),
    fires=("SET lock_timeout = '2s';\nCREATE INDEX CONCURRENTLY users_email_idx ON users (email)"),
    passes=("SET lock_timeout = 0;\nCREATE INDEX CONCURRENTLY users_email_idx ON users (email)"),
    check_migration=_check_migration,
)
