"""ALTER COLUMN ... TYPE: the table is rewritten, or at least locked and its clients broken."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import AlterColumn, Change
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered

_WIDER = frozenset({"text", "varchar", "numeric", "varbit"})
"""Types that some change to which writes nothing: from varchar(10) to varchar(20), or to text."""


def _check(subject: Subject) -> Iterator[Match]:
    for table, action in altered(subject, AlterColumn):
        if action.change is not Change.TYPE or action.type is None:
            continue
        wider = action.type.name in _WIDER and action.expression is None
        message = (
            f"All of {table.target} waits while {action.column} becomes {action.type}: the table "
            "and its indexes are written anew, unless the new type holds every old value as it is."
        )
        severity = Severity.WARNING if wider else None
        yield Match(subject, message, action.at, severity=severity)


RULE = Rule(
    name="changing-column-type",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="The type of a column is changed.",
    reason=(
        "It holds an ACCESS EXCLUSIVE lock while the table and its indexes are rewritten, so all "
        "reads and writes wait. Clients with prepared statements or old code may fail. Only where "
        "the old values need no conversion (varchar(10) to varchar(20) or text) is nothing written."
    ),
    remedy=(
        "Add a new column, write to both (a trigger, or the application), fill it in batches, read "
        "from it, and drop the old one in a later deploy."
    ),
    fires="ALTER TABLE users ALTER COLUMN id TYPE bigint",
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS big_id bigint",
    check=_check,
    squawk="changing-column-type",
)
