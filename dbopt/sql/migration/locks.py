"""Which locks a statement takes on tables that are there already.

Source: PostgreSQL 18 documentation, 13.3 Explicit Locking, and ALTER TABLE.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import IntEnum
from typing import NamedTuple

from dbopt.sql.ddl.elements import ConstraintKind, Name
from dbopt.sql.ddl.model import (
    AddColumn,
    AddConstraint,
    Alter,
    AlterColumn,
    AlterDomain,
    AttachPartition,
    Change,
    Create,
    CreateIndex,
    CreateTable,
    CreateTrigger,
    DetachPartition,
    Drop,
    LockTable,
    Maintain,
    Node,
    OtherAction,
    Refresh,
    Reindex,
    Rename,
    Truncate,
    ValidateConstraint,
    Write,
)
from dbopt.sql.migration.context import Subject


class Mode(IntEnum):
    """A table's lock, the stronger the larger."""

    ACCESS_SHARE = 1
    ROW_SHARE = 2
    ROW_EXCLUSIVE = 3
    SHARE_UPDATE_EXCLUSIVE = 4
    SHARE = 5
    SHARE_ROW_EXCLUSIVE = 6
    EXCLUSIVE = 7
    ACCESS_EXCLUSIVE = 8

    def __str__(self) -> str:
        return self.name.replace("_", " ")

    @property
    def blocks(self) -> str:
        """Whom it keeps waiting, in words."""
        if self is Mode.ACCESS_EXCLUSIVE:
            return "reads and writes"
        if self >= Mode.SHARE:
            return "writes"
        return "other schema changes and VACUUM" if self is Mode.SHARE_UPDATE_EXCLUSIVE else ""


class Lock(NamedTuple):
    """A lock and what is locked.

    Of DROP INDEX that is the index, which tells for its table; a domain and a schema tell for all
    tables that use them.
    """

    relation: Name
    mode: Mode


_TABLE_LIKE = frozenset({"table", "foreign table", "view", "materialized view", "index"})
_SHARED = (("cluster", "on"), ("set", "("), ("reset", "("), ("set", "without", "cluster"))
"""Actions that take SHARE UPDATE EXCLUSIVE."""


def locks(subject: Subject) -> list[Lock]:
    """The locks on what the text has not made itself, in the order in which they are taken."""
    kind = "domain" if isinstance(subject.does, AlterDomain) else "table"
    return [lock for lock in _locks(subject.does) if not subject.is_new(lock.relation, kind)]


def strongest(subject: Subject) -> Lock | None:
    """The strongest of the locks, the first of several; None where there is none."""
    return max(locks(subject), key=lambda lock: lock.mode, default=None)


def blocking(subject: Subject) -> Lock | None:
    """The strongest of the locks if writes, or more, wait behind it."""
    lock = strongest(subject)
    if lock is None or lock.mode < Mode.SHARE or _keeps_nobody(subject.does):
        return None
    return lock


def _keeps_nobody(node: Node) -> bool:
    """EXCLUSIVE lets readers by, and nobody else writes a materialized view."""
    return isinstance(node, Refresh) and node.concurrently


def _locks(node: Node) -> Iterator[Lock]:
    if isinstance(node, Alter) and node.kind in _TABLE_LIKE:
        yield from _alter(node)
    elif isinstance(node, Alter) and node.kind == "sequence":
        yield Lock(node.target, _sequence(node))
    elif isinstance(node, CreateTable):
        yield from _create_table(node)
    elif isinstance(node, CreateIndex):
        yield Lock(node.table, _online(node.concurrently is not None, Mode.SHARE))
    elif isinstance(node, Drop):
        yield from _drop(node)
    elif isinstance(node, Create):
        yield from _create(node)
    elif isinstance(node, CreateTrigger):
        yield Lock(node.table, Mode.SHARE_ROW_EXCLUSIVE)
        if node.references is not None:
            yield Lock(node.references, Mode.ACCESS_SHARE)
    else:
        yield from _command(node)


def _command(node: Node) -> Iterator[Lock]:
    if isinstance(node, Truncate):
        yield from (Lock(table, Mode.ACCESS_EXCLUSIVE) for table in node.tables)
    elif isinstance(node, Reindex) and node.name is not None:
        mode = Mode.ACCESS_EXCLUSIVE if node.what == "index" else Mode.SHARE
        yield Lock(node.name, _online(node.concurrently, mode))
    elif isinstance(node, Refresh):
        yield Lock(node.view, Mode.EXCLUSIVE if node.concurrently else Mode.ACCESS_EXCLUSIVE)
    elif isinstance(node, Maintain):
        heavy = node.full or node.command in {"cluster", "repack"}
        mode = _online(node.concurrently or not heavy, Mode.ACCESS_EXCLUSIVE)
        yield from (Lock(table, mode) for table in node.tables)
    elif isinstance(node, LockTable):
        mode = Mode(1 + _ORDER.index(node.mode))
        yield from (Lock(table, mode) for table in node.tables)
    elif isinstance(node, Write):
        yield Lock(node.table, Mode.ROW_EXCLUSIVE)
    elif isinstance(node, AlterDomain) and node.reads_tables:
        yield Lock(node.name, Mode.SHARE)


_ORDER = tuple(str(mode) for mode in Mode)


def _online(concurrently: bool, mode: Mode) -> Mode:
    return Mode.SHARE_UPDATE_EXCLUSIVE if concurrently else mode


def _create_table(node: CreateTable) -> Iterator[Lock]:
    if node.partition_of is not None:
        yield Lock(node.partition_of, Mode.ACCESS_EXCLUSIVE)
    columns = (one for column in node.columns for one in column.constraints)
    for constraint in (*columns, *node.constraints):
        if constraint.references is not None:
            yield Lock(constraint.references, Mode.SHARE_ROW_EXCLUSIVE)


def _create(node: Create) -> Iterator[Lock]:
    if node.table is not None:
        yield Lock(node.table, Mode.ACCESS_EXCLUSIVE)
    elif node.kind == "view" and node.or_replace:
        yield Lock(node.name, Mode.ACCESS_EXCLUSIVE)


def _drop(node: Drop) -> Iterator[Lock]:
    if node.kind == "index" and node.concurrently:
        yield from (Lock(name, Mode.SHARE_UPDATE_EXCLUSIVE) for name in node.names)
    elif node.kind in _TABLE_LIKE | {"sequence"}:
        yield from (Lock(name, Mode.ACCESS_EXCLUSIVE) for name in node.names)
    elif node.table is not None:
        yield Lock(node.table, Mode.ACCESS_EXCLUSIVE)


def _alter(node: Alter) -> Iterator[Lock]:
    modes = [_action(action, node.kind) for action in node.actions]
    if modes:
        yield Lock(node.target, max(modes))
    for action in node.actions:
        yield from _others(action)


def _action(action: Node, kind: str) -> Mode:
    """The lock on the table that is altered."""
    if isinstance(action, AddConstraint):
        foreign = action.constraint.kind is ConstraintKind.FOREIGN_KEY
        return Mode.SHARE_ROW_EXCLUSIVE if foreign else Mode.ACCESS_EXCLUSIVE
    if isinstance(action, ValidateConstraint | AttachPartition):
        return Mode.SHARE_UPDATE_EXCLUSIVE
    if isinstance(action, DetachPartition):
        return _online(action.concurrently or action.finalize, Mode.ACCESS_EXCLUSIVE)
    if isinstance(action, Rename) and kind == "index":
        return Mode.SHARE_UPDATE_EXCLUSIVE
    if isinstance(action, AlterColumn) and action.change in _SHARED_CHANGES:
        return Mode.SHARE_UPDATE_EXCLUSIVE
    return _other(action, kind) if isinstance(action, OtherAction) else Mode.ACCESS_EXCLUSIVE


_SHARED_CHANGES = frozenset({Change.SET_STATISTICS, Change.SET_OPTIONS})


def _other(action: OtherAction, kind: str) -> Mode:
    if action.words in _TRIGGERS:
        return Mode.SHARE_ROW_EXCLUSIVE
    if kind == "view":
        return Mode.ACCESS_EXCLUSIVE
    if kind == "index" and action.words[:1] == ("alter",):  # its statistics
        return Mode.SHARE_UPDATE_EXCLUSIVE
    shared = any(action.words[: len(words)] == words for words in _SHARED)
    return Mode.SHARE_UPDATE_EXCLUSIVE if shared else Mode.ACCESS_EXCLUSIVE


_TRIGGERS = frozenset(
    {("enable", *which, "trigger") for which in ((), ("always",), ("replica",))}
    | {("disable", "trigger")}
)


def _sequence(node: Alter) -> Mode:
    """nextval() takes ROW EXCLUSIVE, so it waits for both of these."""
    moved = any(
        isinstance(action, Rename)
        or (isinstance(action, OtherAction) and action.words[:2] in _MOVES)
        for action in node.actions
    )
    return Mode.ACCESS_EXCLUSIVE if moved else Mode.SHARE_ROW_EXCLUSIVE


_MOVES = frozenset({("set", "schema"), ("owner", "to"), ("set", "logged"), ("set", "unlogged")})


def _others(action: Node) -> Iterator[Lock]:
    """The locks on other tables than the one that is altered."""
    if isinstance(action, AddConstraint) and action.constraint.references is not None:
        yield Lock(action.constraint.references, Mode.SHARE_ROW_EXCLUSIVE)
    elif isinstance(action, AddColumn):
        for constraint in action.column.constraints:
            if constraint.references is not None:
                yield Lock(constraint.references, Mode.SHARE_ROW_EXCLUSIVE)
    elif isinstance(action, AttachPartition | DetachPartition):
        yield Lock(action.partition, Mode.ACCESS_EXCLUSIVE)
