"""json: no equality, so DISTINCT and GROUP BY fail."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name == "json" and not one.type.schema:
            message = f"{one.table}.{one.name} is json, which has no equality."
            yield Match(subject, message, one.type.at)


RULE = Rule(
    name="prefer-jsonb",
    severity=Severity.WARNING,
    group=Group.TYPE,
    summary="A column is of type json.",
    reason=(
        "json has no equality operator: SELECT DISTINCT, GROUP BY and UNION over the table's "
        "rows fail (42883), among them those that an ORM writes by itself. Each use parses the "
        "text again, and no GIN index takes it."
    ),
    remedy=(
        "Use jsonb; json only where the text itself has to come back as it was, duplicate keys "
        "and blanks included."
    ),
    fires="CREATE TABLE IF NOT EXISTS events (payload json)",
    passes="CREATE TABLE IF NOT EXISTS events (payload jsonb)",
    check=_check,
)
