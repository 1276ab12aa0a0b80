"""CREATE INDEX CONCURRENTLY IF NOT EXISTS: an invalid index counts as one that exists."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateIndex, Drop
from dbopt.sql.findings import Severity
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule


def _check_migration(migration: Migration) -> Iterator[Match]:
    dropped: set[str] = set()
    for subject in migration.telling:
        does = subject.does
        if isinstance(does, Drop) and does.kind == "index":
            dropped.update(name.name for name in does.names)
        if isinstance(does, CreateIndex) and does.concurrently and does.if_not_exists:
            name = does.name.name if does.name else ""
            if name not in dropped and not subject.is_new(does.table):
                message = f"An invalid {name}, or another index of that name, passes for this one."
                yield Match(subject, message, instead=rewrites.create_index(subject, does))


RULE = Rule(
    name="if-not-exists-hides-invalid-index",
    severity=Severity.WARNING,
    group=Group.INDEX,
    summary="An index is built concurrently with IF NOT EXISTS.",
    reason=(
        "A build that fails or is cancelled leaves an INVALID index of that name. With IF NOT "
        "EXISTS the next run prints a notice, succeeds, and leaves it invalid: no query uses it "
        "and every write pays for it. An index of that name with another definition passes for "
        "this one too."
    ),
    remedy=(
        "DROP INDEX CONCURRENTLY IF EXISTS name first, and leave IF NOT EXISTS out; or let "
        "`dbopt index apply` compare the definitions, and repair what is invalid."
    ),
    fires="CREATE INDEX CONCURRENTLY IF NOT EXISTS users_email_idx ON users (email)",
    passes=(
        "DROP INDEX CONCURRENTLY IF EXISTS users_email_idx;\n"
        "CREATE INDEX CONCURRENTLY users_email_idx ON users (email)"
    ),
    check_migration=_check_migration,
)
