"""DROP COLUMN: the application that runs still selects it."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import DropColumn
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, action in altered(subject, DropColumn):
        message = f"Whoever uses {table.target}.{action.column} fails, and its data is gone."
        yield Match(subject, message, action.at)


RULE = Rule(
    name="ban-drop-column",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A column is dropped.",
    reason=(
        "Every statement of the running application that names the column fails (42703), also "
        "those that an ORM writes by itself, and prepared ones with *. Its indexes and "
        "constraints go with it, under an ACCESS EXCLUSIVE lock; the data cannot be had back."
    ),
    remedy=(
        "Deploy an application that does not know the column, then drop it, with a short "
        "lock_timeout, in a later migration; say so with a marker: `-- dbopt:ignore "
        "ban-drop-column unused since release 41`."
    ),
    fires="ALTER TABLE users DROP COLUMN IF EXISTS nickname",
    passes="ALTER TABLE users ALTER COLUMN nickname DROP DEFAULT",
    check=_check,
    squawk="ban-drop-column",
)
