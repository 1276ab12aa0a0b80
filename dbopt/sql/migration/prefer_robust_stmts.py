"""A statement that fails when the migration is run a second time."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import (
    AddColumn,
    AddConstraint,
    AttachPartition,
    CreateIndex,
    CreateTable,
    DetachPartition,
    Drop,
    DropColumn,
    DropConstraint,
    Node,
    OtherAction,
    Rename,
)
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered

_AGAIN = "It cannot be run again where a later step has failed"


def _check_migration(migration: Migration) -> Iterator[Match]:
    dropped: set[str] = set()
    for subject in migration.telling:
        does = subject.does
        if isinstance(does, Drop) and does.if_exists:
            dropped.update(name.name for name in does.names)
        if isinstance(does, CreateIndex):
            yield from _index(subject, does, dropped)
        elif subject.transaction is None:
            yield from _statement(subject)
            yield from _actions(subject, dropped)


def _index(subject: Subject, index: CreateIndex, dropped: set[str]) -> Iterator[Match]:
    if subject.transaction is not None and not index.concurrently:
        return
    name = index.name.name if index.name else ""
    if name and name not in dropped and not index.if_not_exists:
        message = f"It cannot be run again: {name} is there then, or an invalid one if it failed."
        yield Match(subject, message)


def _statement(subject: Subject) -> Iterator[Match]:
    does = subject.does
    if isinstance(does, CreateTable) and not does.if_not_exists:
        if not (does.temporary and does.on_commit_drop):
            yield Match(subject, f"{_AGAIN}: {does.table} is there then.")
    elif isinstance(does, Drop) and does.kind in _DROPPED and not does.if_exists:
        names = ", ".join(map(str, does.names))
        yield Match(subject, f"{_AGAIN}: {names} is gone then.")


_DROPPED = frozenset({"index", "table", "type", "sequence", "view", "materialized view"})


def _actions(subject: Subject, dropped: set[str]) -> Iterator[Match]:
    for table, action in altered(subject, Node, new=True):
        if isinstance(action, DropConstraint):
            dropped.add(f"{table.target.name}.{action.name}")
        if not _is_robust(action, table.target.name, dropped):
            yield Match(subject, f"{_AGAIN}.", action.at)


def _is_robust(action: Node, table: str, dropped: set[str]) -> bool:
    """Whether a second run does no harm, and does not fail."""
    if isinstance(action, AddColumn):
        return action.if_not_exists
    if isinstance(action, DropColumn | DropConstraint):
        return action.if_exists
    if isinstance(action, AddConstraint):
        return f"{table}.{action.constraint.name}" in dropped
    if isinstance(action, OtherAction):
        return action.words not in _ONCE
    # All others say how the table shall be, and may say so twice.
    return not isinstance(action, Rename | AttachPartition | DetachPartition)


_ONCE = frozenset({("set", "schema"), ("inherit",), ("no", "inherit")})


RULE = Rule(
    name="prefer-robust-stmts",
    severity=Severity.WARNING,
    group=Group.ROBUSTNESS,
    summary="A statement runs outside of a transaction and cannot be run again.",
    reason=(
        "When a later statement fails, this one stays, and the next run stops at it. A "
        "concurrent build that fails leaves an invalid index of its name."
    ),
    remedy=(
        "Run the migration in a transaction, or write IF NOT EXISTS and IF EXISTS; drop a "
        "constraint IF EXISTS before you add it. Before CREATE INDEX CONCURRENTLY write DROP "
        "INDEX CONCURRENTLY IF EXISTS: never trust IF NOT EXISTS there."
    ),
    fires="ALTER TABLE users ADD COLUMN email text",
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS email text",
    check_migration=_check_migration,
    squawk="prefer-robust-stmts",
)
