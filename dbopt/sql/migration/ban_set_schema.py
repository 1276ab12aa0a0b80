"""SET SCHEMA: the object is no longer where the application looks for it."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Alter, OtherAction
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    node = subject.does
    if not isinstance(node, Alter) or subject.is_new(node.target, node.kind):
        return
    for action in node.actions:
        if isinstance(action, OtherAction) and action.words == ("set", "schema"):
            message = f"Whoever looks for {node.target} where it was fails from now on."
            yield Match(subject, message, action.at)


RULE = Rule(
    name="ban-set-schema",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A table, view or sequence is moved to another schema.",
    reason=(
        "Every statement that names the old schema, or finds the object by search_path, fails "
        "from the commit on."
    ),
    remedy=(
        "Make a view of the old name in the old schema in the same transaction; or move the "
        "users over first, by search_path."
    ),
    fires="ALTER TABLE users SET SCHEMA archive",
    passes="CREATE SCHEMA IF NOT EXISTS archive",
    check=_check,
    squawk="ban-set-schema",
)
