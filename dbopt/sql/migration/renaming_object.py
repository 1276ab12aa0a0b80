"""RENAME of a schema, a view, a type and the like."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Alter, Node, Rename
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule

_QUIET = frozenset({"index", "table constraint"})
"""What few statements name."""


def _check(subject: Subject) -> Iterator[Match]:
    node = subject.does
    if not isinstance(node, Alter) or subject.is_new(node.target, node.kind):
        return
    comes_back = subject.comes_back(node.target, node.kind)
    for action in node.actions:
        kind = _kind(node, action)
        if kind and not (comes_back and kind == node.kind):
            severity = Severity.INFO if kind in _QUIET else None
            message = f"Whoever uses this name of the {kind} fails from now on."
            yield Match(subject, message, action.at, severity=severity)


def _kind(node: Alter, action: Node) -> str:
    """What is renamed, "" if nothing, or what has a rule of its own."""
    if not isinstance(action, Rename):
        return ""
    if node.kind in {"table", "foreign table"}:
        return "table constraint" if action.what == "constraint" else ""
    return node.kind if not action.what else f"{node.kind}'s {action.what}"


RULE = Rule(
    name="renaming-object",
    severity=Severity.WARNING,
    group=Group.DATA,
    summary="A schema, view, sequence, type or constraint is renamed.",
    reason=(
        "Whoever still uses the old name fails. A renamed schema takes every table in it along. "
        "The name of an index or a constraint matters where ON CONFLICT ON CONSTRAINT, a hint or "
        "an error handler names it."
    ),
    remedy=(
        "Make the new object beside the old one, move its users over, and drop the old one in a "
        "later deploy."
    ),
    fires="ALTER SCHEMA sales RENAME TO orders",
    passes="CREATE SCHEMA IF NOT EXISTS orders",
    check=_check,
    squawk="renaming-object",
)
