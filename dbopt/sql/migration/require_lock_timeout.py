"""No lock_timeout before a statement that everybody may queue behind."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.migration.timeouts import LOCK_TIMEOUT, first_unbounded


def _check_migration(migration: Migration) -> Iterator[Match]:
    found = first_unbounded(migration, LOCK_TIMEOUT)
    if found is not None:
        subject, lock = found
        message = (
            f"{lock.mode} on {lock.relation} is waited for without an end, and "
            f"{lock.mode.blocks} wait behind it."
        )
        yield Match(subject, message, evidence={"lock": str(lock.mode)})


RULE = Rule(
    name="require-lock-timeout",
    severity=Severity.WARNING,
    group=Group.ROBUSTNESS,
    summary="A strong lock is asked for without a lock_timeout.",
    reason=(
        "A statement that waits for its lock makes all who come later wait behind it: one long "
        "transaction, and the application stands still until it ends. CREATE, DROP and REINDEX "
        "... CONCURRENTLY are left out: nobody queues behind them, and a lock_timeout would end "
        "them half-way."
    ),
    remedy=(
        "SET lock_timeout = '2s' first, and run the migration again when it fails (55P03). In a "
        "transaction: SET LOCAL."
    ),
    fires="ALTER TABLE users ADD COLUMN IF NOT EXISTS email text",
    passes=(
        "SET lock_timeout = '2s';\n"
        "SET statement_timeout = '1min';\n"
        "ALTER TABLE users ADD COLUMN IF NOT EXISTS email text"
    ),
    check_migration=_check_migration,
    squawk="require-lock-timeout",
    aliases=("require-timeout-settings",),
)
