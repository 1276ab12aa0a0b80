"""RENAME TO: the application that runs still uses the old name."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Rename
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered


def _check(subject: Subject) -> Iterator[Match]:
    for table, action in altered(subject, Rename):
        if not action.what and not subject.comes_back(table.target, table.kind):
            message = f"Whoever uses {table.target} fails from now on."
            yield Match(subject, message, action.at)


RULE = Rule(
    name="renaming-table",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A table is renamed.",
    reason=(
        "From the commit on, every statement of the running application that names the old table "
        "fails (42P01). It also takes an ACCESS EXCLUSIVE lock."
    ),
    remedy=(
        "In one transaction rename the table and CREATE VIEW old_name AS SELECT * FROM new_name: "
        "a simple view takes writes too. Drop it in a later deploy."
    ),
    fires="ALTER TABLE users RENAME TO people",
    passes="CREATE OR REPLACE VIEW people AS SELECT * FROM users",
    check=_check,
    squawk="renaming-table",
)
