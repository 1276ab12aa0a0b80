"""ADD COLUMN that numbers the rows: the table is rewritten."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import AddColumn
from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import SERIALS
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddColumn):
        column = added.column
        serial = column.type is not None and column.type.name in SERIALS
        if serial or column.has(ConstraintKind.IDENTITY):
            message = f"All of {table.target} is written anew, to number its rows, while all wait."
            yield Match(subject, message, column.at)


RULE = Rule(
    name="adding-auto-increment-column",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A serial or identity column is added to a table that is in use.",
    reason=(
        "Each row gets its number at once: the table and its indexes are rewritten under an "
        "ACCESS EXCLUSIVE lock, and all reads and writes wait."
    ),
    remedy=(
        "ADD COLUMN as a plain bigint; CREATE SEQUENCE and ALTER COLUMN ... SET DEFAULT "
        "nextval(...) for new rows; number the old ones in batches; then add the constraint."
    ),
    fires=("ALTER TABLE users ADD COLUMN IF NOT EXISTS number bigint GENERATED ALWAYS AS IDENTITY"),
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS number bigint",
    check=_check,
)
