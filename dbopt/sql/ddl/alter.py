"""Reads ALTER TABLE and what is altered like a table: indexes, views, sequences, schemas."""

from __future__ import annotations

from collections.abc import Callable

from dbopt.sql.ddl.constraints import is_table_constraint, read_column, read_table_constraint
from dbopt.sql.ddl.cursor import Cursor
from dbopt.sql.ddl.elements import Span
from dbopt.sql.ddl.model import (
    AddColumn,
    AddConstraint,
    Alter,
    AlterColumn,
    AttachPartition,
    Change,
    DetachPartition,
    DropColumn,
    DropConstraint,
    Node,
    OtherAction,
    Rename,
    ValidateConstraint,
)
from dbopt.sql.ddl.types import read_type
from dbopt.sql.lexer import Lexeme

_FIRST_WORDS = (
    ("set", "tablespace"),
    ("set", "schema"),
    ("set", "access", "method"),
    ("cluster", "on"),
    ("owner", "to"),
    ("enable", "always", "trigger"),
    ("enable", "replica", "trigger"),
    ("enable", "trigger"),
    ("disable", "trigger"),
    ("replica", "identity", "using", "index"),
    ("no", "inherit"),
    ("inherit",),
)
"""Actions that name one thing, by the words before it."""


def read_alter(cursor: Cursor, at: Span, kind: str) -> Alter:
    """ALTER from behind the kind of object on; raises Unreadable."""
    guarded = cursor.accept("if", "exists")
    target = cursor.relation()
    actions = tuple(_action(item, kind) for item in cursor.items())
    return Alter(at, kind, target, guarded, actions)


def _action(cursor: Cursor, kind: str) -> Node:
    at = cursor.whole
    readers: dict[str, Callable[[Cursor, Span], Node]] = {
        "rename": _rename,
        "attach": _attach,
        "detach": _detach,
        "validate": _validate,
    }
    if kind in {"table", "foreign table", "view", "materialized view"}:
        readers |= {"add": _add, "drop": _drop, "alter": _alter_column}
    elif kind == "index" and cursor.word() == "alter":
        return OtherAction(at, cursor.words[:2])
    reader = readers.get(cursor.word())
    if reader is None:
        return _other(cursor, at)
    cursor.next()
    return reader(cursor, at)


def _add(cursor: Cursor, at: Span) -> Node:
    if is_table_constraint(cursor):
        return AddConstraint(at, read_table_constraint(cursor))
    cursor.accept("column")
    guarded = cursor.accept("if", "not", "exists")
    return AddColumn(at, read_column(cursor), guarded)


def _drop(cursor: Cursor, at: Span) -> Node:
    if cursor.accept("constraint"):
        guarded = cursor.accept("if", "exists")
        return DropConstraint(at, cursor.identifier(), guarded, cursor.accept("cascade"))
    cursor.accept("column")
    guarded = cursor.accept("if", "exists")
    return DropColumn(at, cursor.identifier(), guarded, cursor.accept("cascade"))


def _alter_column(cursor: Cursor, at: Span) -> Node:
    if cursor.accept("constraint"):
        return OtherAction(at, ("alter", "constraint"), cursor.identifier())
    cursor.accept("column")
    if cursor.lexeme() is Lexeme.NUMBER:  # ALTER INDEX counts its columns
        cursor.next()
        return AlterColumn(at, "", Change.OTHER)
    return _change(cursor, at, cursor.identifier())


def _change(cursor: Cursor, at: Span, column: str) -> AlterColumn:
    if cursor.accept("type") or cursor.accept("set", "data", "type"):
        type_ = read_type(cursor)
        if cursor.accept("collate"):
            cursor.name()
        using = cursor.rest() if cursor.accept("using") else None
        return AlterColumn(at, column, Change.TYPE, type_, using)
    if cursor.accept("set", "default"):
        return AlterColumn(at, column, Change.SET_DEFAULT, expression=cursor.rest())
    if cursor.accept("reset"):
        return AlterColumn(at, column, Change.SET_OPTIONS)
    for change, words in _CHANGES.items():
        if cursor.accept(*words):
            return AlterColumn(at, column, change)
    return AlterColumn(at, column, Change.OTHER)


_CHANGES = {
    Change.SET_NOT_NULL: ("set", "not", "null"),
    Change.DROP_NOT_NULL: ("drop", "not", "null"),
    Change.DROP_DEFAULT: ("drop", "default"),
    Change.ADD_IDENTITY: ("add", "generated"),
    Change.SET_EXPRESSION: ("set", "expression"),
    Change.SET_STATISTICS: ("set", "statistics"),
    Change.SET_OPTIONS: ("set", "("),
}


def _rename(cursor: Cursor, at: Span) -> Rename:
    if cursor.accept("to"):
        return Rename(at, "", "", cursor.identifier())
    what = cursor.any_of("constraint", "column", "attribute", "value")
    if cursor.lexeme() is Lexeme.STRING:  # ALTER TYPE ... RENAME VALUE 'a' TO 'b'
        return Rename(at, "value", "", "")
    old = cursor.identifier()
    cursor.expect("to")
    return Rename(at, what or "column", old, cursor.identifier())


def _attach(cursor: Cursor, at: Span) -> AttachPartition:
    cursor.expect("partition")
    return AttachPartition(at, cursor.name())


def _detach(cursor: Cursor, at: Span) -> DetachPartition:
    cursor.expect("partition")
    partition = cursor.name()
    concurrently = cursor.accept("concurrently")
    return DetachPartition(at, partition, concurrently, cursor.accept("finalize"))


def _validate(cursor: Cursor, at: Span) -> ValidateConstraint:
    cursor.expect("constraint")
    return ValidateConstraint(at, cursor.identifier())


def _other(cursor: Cursor, at: Span) -> OtherAction:
    for words in _FIRST_WORDS:
        if cursor.accept(*words):
            named = cursor.lexeme() in {Lexeme.WORD, Lexeme.NAME}
            return OtherAction(at, words, cursor.identifier() if named else "")
    return OtherAction(at, cursor.words[:3])
