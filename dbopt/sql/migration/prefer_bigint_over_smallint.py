"""smallint: 32,767 values, and then INSERTs fail."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name in {"smallint", "smallserial"}:
            message = f"{one.table}.{one.name} ends at 32,767."
            yield Match(subject, message, one.type.at, severity=None if one.key else Severity.INFO)


RULE = Rule(
    name="prefer-bigint-over-smallint",
    severity=Severity.WARNING,
    group=Group.TYPE,
    summary="A column is an integer of 16 bits.",
    reason=(
        "It ends at 32,767, and then every INSERT fails (22003). To widen it later rewrites the "
        "table under an ACCESS EXCLUSIVE lock. Padding often eats what it saves."
    ),
    remedy=(
        "Use bigint, or integer for what can never be large; or say with a marker why it stays "
        "small."
    ),
    fires="CREATE TABLE IF NOT EXISTS users (id smallint PRIMARY KEY)",
    passes="CREATE TABLE IF NOT EXISTS users (id bigint PRIMARY KEY)",
    check=_check,
    squawk="prefer-bigint-over-smallint",
)
