"""No statement_timeout before a statement that holds a strong lock."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.migration.timeouts import first_unbounded


def _check_migration(migration: Migration) -> Iterator[Match]:
    found = first_unbounded(migration, "statement_timeout")
    if found is not None:
        subject, lock = found
        message = (
            f"{lock.mode} on {lock.relation} may be held for any time, and {lock.mode.blocks} wait."
        )
        yield Match(subject, message, evidence={"lock": str(lock.mode)})


RULE = Rule(
    name="require-statement-timeout",
    severity=Severity.INFO,
    group=Group.ROBUSTNESS,
    summary="A strong lock may be held without a statement_timeout.",
    reason=(
        "A statement that takes longer than was thought keeps its lock, and the application "
        "waiting, until somebody looks."
    ),
    remedy=(
        "SET statement_timeout = '1min' first, or as long as the application can wait. Not "
        "around CREATE INDEX CONCURRENTLY."
    ),
    fires="SET lock_timeout = '2s';\nALTER TABLE users ADD COLUMN IF NOT EXISTS email text",
    passes=(
        "SET lock_timeout = '2s';\n"
        "SET statement_timeout = '1min';\n"
        "ALTER TABLE users ADD COLUMN IF NOT EXISTS email text"
    ),
    check_migration=_check_migration,
    squawk="require-statement-timeout",
    aliases=("require-timeout-settings",),
)
