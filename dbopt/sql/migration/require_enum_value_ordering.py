"""ADD VALUE without BEFORE or AFTER: it sorts last."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import AddEnumValue
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    added = subject.does
    if isinstance(added, AddEnumValue) and not added.ordered:
        yield Match(subject, f"The new value of {added.type} sorts behind all others, for good.")


RULE = Rule(
    name="require-enum-value-ordering",
    severity=Severity.INFO,
    group=Group.DATA,
    summary="A value is added to an enum without a place.",
    reason=(
        "Comparisons and ORDER BY follow the order of the values, and no value can be moved later."
    ),
    remedy="ALTER TYPE ... ADD VALUE 'new' AFTER 'other'.",
    fires="ALTER TYPE mood ADD VALUE IF NOT EXISTS 'so-so'",
    passes="ALTER TYPE mood ADD VALUE IF NOT EXISTS 'so-so' AFTER 'sad'",
    check=_check,
    squawk="require-enum-value-ordering",
)
