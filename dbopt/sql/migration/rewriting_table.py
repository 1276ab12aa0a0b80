"""SET TABLESPACE, SET LOGGED and the like: the table is rewritten while everybody waits."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Alter, AlterColumn, Change, Node, OtherAction
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule

_REWRITES = (
    ("set", "tablespace"),
    ("set", "logged"),
    ("set", "unlogged"),
    ("set", "access", "method"),
)


def _check(subject: Subject) -> Iterator[Match]:
    node = subject.does
    if not isinstance(node, Alter) or node.kind not in {"table", "index", "materialized view"}:
        return
    if subject.is_new(node.target):
        return
    for action in node.actions:
        if _rewrites(action):
            message = f"Reads and writes of {node.target} wait until all of it is copied."
            yield Match(subject, message, action.at)


def _rewrites(action: Node) -> bool:
    if isinstance(action, AlterColumn):
        return action.change is Change.SET_EXPRESSION
    if not isinstance(action, OtherAction):
        return False
    return any(action.words[: len(words)] == words for words in _REWRITES)


RULE = Rule(
    name="rewriting-table",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A table is written anew, to another place or in another form.",
    reason=(
        "SET TABLESPACE, SET LOGGED, SET UNLOGGED, SET ACCESS METHOD and SET EXPRESSION copy the "
        "whole table under an ACCESS EXCLUSIVE lock: all reads and writes wait, and SET LOGGED "
        "sends all of it to the replicas."
    ),
    remedy=(
        "Make a new table of that form, fill it in batches or by triggers, and swap the names; "
        "for an index build a new one CONCURRENTLY in the other tablespace, and drop the old "
        "one."
    ),
    fires="ALTER TABLE users SET TABLESPACE fast",
    passes="ALTER TABLE users SET (fillfactor = 90)",
    check=_check,
)
