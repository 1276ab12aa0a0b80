"""integer: two thousand million values, and then INSERTs fail."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name in {"integer", "serial"}:
            message = f"{one.table}.{one.name} ends at 2,147,483,647."
            yield Match(subject, message, one.type.at, severity=None if one.key else Severity.INFO)


RULE = Rule(
    name="prefer-bigint-over-int",
    severity=Severity.WARNING,
    group=Group.TYPE,
    summary="A column is an integer of 32 bits.",
    reason=(
        "A key of 32 bits ends at 2,147,483,647, and then every INSERT fails (22003). To widen "
        "it later rewrites the table under an ACCESS EXCLUSIVE lock. Padding often makes an "
        "integer as large as a bigint."
    ),
    remedy=(
        "Use bigint (GENERATED ALWAYS AS IDENTITY for a key). What can never be large may stay: "
        "say so with a marker."
    ),
    fires=(
        "CREATE TABLE IF NOT EXISTS users (id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY)"
    ),
    passes=(
        "CREATE TABLE IF NOT EXISTS users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)"
    ),
    check=_check,
    squawk="prefer-bigint-over-int",
)
