"""timestamp: a time whose zone nobody knows."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name == "timestamp":
            message = f"{one.table}.{one.name} forgets the time zone of what is written to it."
            yield Match(subject, message, one.type.at)


RULE = Rule(
    name="prefer-timestamp-tz",
    severity=Severity.WARNING,
    group=Group.TYPE,
    summary="A column is a timestamp without time zone.",
    reason=(
        "It drops the zone of what is written to it without a word: two clients of different "
        "zones write different moments as the same, and summer time makes an hour of each year "
        "ambiguous."
    ),
    remedy="Use timestamptz. It takes the same 8 bytes, and holds the moment itself.",
    fires="CREATE TABLE IF NOT EXISTS users (created timestamp)",
    passes="CREATE TABLE IF NOT EXISTS users (created timestamptz)",
    check=_check,
    squawk="prefer-timestamp-tz",
    aliases=("prefer-timestamptz",),
)
