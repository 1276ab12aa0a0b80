"""ADD COLUMN with a value that each row needs its own of: the table is rewritten."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Constraint, ConstraintKind
from dbopt.sql.ddl.model import AddColumn
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.defaults import is_null, unsteady_call
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, added in altered(subject, AddColumn):
        for one in added.column.constraints:
            why = _why(one, subject.version)
            if why:
                message = f"{why}, so all of {table.target} is written anew while everybody waits."
                yield Match(subject, message, one.at)


def _why(one: Constraint, version: int) -> str:
    if one.kind is ConstraintKind.GENERATED and not one.virtual:
        return "Each row gets a generated value of its own"
    if one.kind is not ConstraintKind.DEFAULT or one.expression is None:
        return ""
    call = unsteady_call(one.expression)
    if call:
        return f"{call}() may give each row a value of its own"
    if version < 11 and not is_null(one.expression):
        return "Before PostgreSQL 11 a default is written into every row"
    return ""


RULE = Rule(
    name="adding-field-with-default",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A column is added with a volatile default, or one that is generated and stored.",
    reason=(
        "Every row has to be written anew under an ACCESS EXCLUSIVE lock, and all indexes with "
        "them: all reads and writes wait. A default that is the same for all rows is instant "
        "from PostgreSQL 11 on."
    ),
    remedy=(
        "ADD COLUMN without the default; ALTER COLUMN ... SET DEFAULT, which holds for new rows; "
        "then fill the old rows in batches. Instead of GENERATED ... STORED: VIRTUAL (PostgreSQL "
        "18), an index on the expression, or a trigger."
    ),
    fires="ALTER TABLE users ADD COLUMN IF NOT EXISTS token uuid DEFAULT gen_random_uuid()",
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS seen timestamptz DEFAULT now()",
    check=_check,
    squawk="adding-field-with-default",
)
