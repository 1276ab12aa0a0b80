"""Reads CREATE TABLE."""

from __future__ import annotations

from dbopt.sql.ddl.constraints import is_table_constraint, read_column, read_table_constraint
from dbopt.sql.ddl.cursor import Cursor
from dbopt.sql.ddl.elements import Column, Constraint, Name, Span
from dbopt.sql.ddl.model import CreateTable


def read_create_table(cursor: Cursor, at: Span, *, temporary: bool) -> CreateTable:
    """CREATE TABLE from behind the word TABLE on; raises Unreadable."""
    guarded = cursor.accept("if", "not", "exists")
    table = cursor.name()
    partition_of = cursor.name() if cursor.accept("partition", "of") else None
    if cursor.accept("of"):
        cursor.name()
    items = cursor.group().items() if cursor.word() == "(" else []
    inherits = cursor.group().names() if cursor.accept("inherits") else ()
    query = cursor.finds("as")
    columns, constraints, like = _read_items([] if query else items)
    return CreateTable(
        at,
        table,
        if_not_exists=guarded,
        temporary=temporary,
        on_commit_drop=cursor.finds("on", "commit", "drop"),
        columns=tuple(columns),
        constraints=tuple(constraints),
        partition_of=partition_of,
        like=tuple(like),
        inherits=inherits,
        query=query,
    )


def _read_items(items: list[Cursor]) -> tuple[list[Column], list[Constraint], list[Name]]:
    columns: list[Column] = []
    constraints: list[Constraint] = []
    like: list[Name] = []
    for item in items:
        if is_table_constraint(item):
            constraints.append(read_table_constraint(item))
        elif item.accept("like"):
            like.append(item.name())
        else:
            columns.append(read_column(item))
    return columns, constraints, like
