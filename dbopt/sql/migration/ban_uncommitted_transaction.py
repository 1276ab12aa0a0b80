"""BEGIN without COMMIT: nothing of it stays, or its locks do."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule


def _check_migration(migration: Migration) -> Iterator[Match]:
    if migration.ends_open is not None and not migration.assumed:
        yield Match(migration.ends_open, "This transaction is neither committed nor rolled back.")


RULE = Rule(
    name="ban-uncommitted-transaction",
    severity=Severity.CRITICAL,
    group=Group.ROBUSTNESS,
    summary="A transaction is begun and never ended.",
    reason=(
        "When the session ends, all of it is rolled back without an error. While the session "
        "lives, its locks and its snapshot do too: others wait, and VACUUM cleans nothing."
    ),
    remedy="COMMIT at the end.",
    fires="BEGIN;\nUPDATE users SET seen = now() WHERE id = 1",
    passes="BEGIN;\nUPDATE users SET seen = now() WHERE id = 1;\nCOMMIT",
    check_migration=_check_migration,
    squawk="ban-uncommitted-transaction",
)
