"""RENAME COLUMN: the application that runs still uses the old name."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Rename
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, action in altered(subject, Rename):
        if action.what == "column":
            message = f"Whoever uses {table.target}.{action.old} fails from now on."
            yield Match(subject, message, action.at)


RULE = Rule(
    name="renaming-column",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A column is renamed.",
    reason=(
        "From the commit on, every statement of the running application that names the old "
        "column fails (42703), until all of it is deployed anew. It also takes an ACCESS "
        "EXCLUSIVE lock."
    ),
    remedy=(
        "Add a new column, write to both, fill it, read from it, and drop the old one in a later "
        "deploy; or rename the table and put a view with both names in its place."
    ),
    fires="ALTER TABLE users RENAME COLUMN mail TO email",
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS email text",
    check=_check,
    squawk="renaming-column",
)
