"""varchar(n): a limit that is hard to change."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name == "varchar" and one.type.modifiers:
            message = f"{one.table}.{one.name} is a {one.type}: its limit is hard to change."
            yield Match(subject, message, one.type.at)


RULE = Rule(
    name="prefer-text-field",
    severity=Severity.INFO,
    group=Group.TYPE,
    summary="A column is a varchar with a limit.",
    reason=(
        "The limit is part of the type: to lower it reads the whole table under an ACCESS "
        "EXCLUSIVE lock, and to raise it needs that lock too. It saves no space against text."
    ),
    remedy=(
        "Use text; where a limit is wanted, add CHECK (char_length(column) <= n), which can be "
        "changed with NOT VALID and VALIDATE CONSTRAINT."
    ),
    fires="CREATE TABLE IF NOT EXISTS users (email varchar(100))",
    passes="CREATE TABLE IF NOT EXISTS users (email text)",
    check=_check,
    squawk="prefer-text-field",
)
