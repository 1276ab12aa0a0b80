"""char(n): padded with blanks that some operators do not see."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name == "character" and not one.type.schema:
            message = f"{one.table}.{one.name} is a {one.type}, padded with blanks."
            yield Match(subject, message, one.type.at)


RULE = Rule(
    name="ban-char-field",
    severity=Severity.WARNING,
    group=Group.TYPE,
    summary="A column is a char of fixed length.",
    reason=(
        "Shorter values are stored with blanks behind them, which comparisons ignore, LIKE and "
        "regular expressions see, and casts to text take away. It saves neither space nor time."
    ),
    remedy="Use text, with a CHECK of its length where every value has the same one.",
    fires="CREATE TABLE IF NOT EXISTS users (country char(2))",
    passes="CREATE TABLE IF NOT EXISTS users (country text)",
    check=_check,
    squawk="ban-char-field",
)
