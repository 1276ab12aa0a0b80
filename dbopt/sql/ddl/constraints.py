"""Reads columns and the constraints of columns, tables and domains.

Source: PostgreSQL 18 documentation, CREATE TABLE, and its grammar (gram.y, ColConstraint).
"""

from __future__ import annotations

from dataclasses import replace

from dbopt.sql.ddl.cursor import Cursor, Unreadable
from dbopt.sql.ddl.elements import Column, Constraint, ConstraintKind, Expression, Span
from dbopt.sql.ddl.types import read_type

_ENDS = frozenset(
    """not null check default generated unique primary references constraint deferrable initially
    collate storage compression enforced options""".split()  # noqa: SIM905
)
"""Words that end a column's default: the next thing that is said of the column."""
_TABLE_KINDS = frozenset({"constraint", "check", "unique", "primary", "foreign", "exclude"})
Kind = ConstraintKind


def is_table_constraint(cursor: Cursor) -> bool:
    """Whether an item of CREATE TABLE, or what ADD adds, is a constraint and no column."""
    return cursor.word() in _TABLE_KINDS or (cursor.word() == "not" and cursor.word(1) == "null")


def read_column(cursor: Cursor) -> Column:
    """A column to the end of its item; raises Unreadable."""
    start = cursor.here
    name = cursor.identifier()
    cursor.accept("with", "options")
    typed = not cursor.done and cursor.word() not in _ENDS
    type_ = read_type(cursor) if typed else None
    constraints = read_column_constraints(cursor)
    return Column(name, type_, constraints, Span(start, cursor.last_end))


def read_column_constraints(cursor: Cursor) -> tuple[Constraint, ...]:
    """All constraints of a column or a domain, to the end; raises Unreadable."""
    found: list[Constraint] = []
    while not cursor.done:
        if _passes(cursor):
            continue
        if found and (changed := _attributed(cursor, found[-1])) is not None:
            found[-1] = changed
            continue
        found.append(_column_constraint(cursor))
    return tuple(found)


def read_table_constraint(cursor: Cursor) -> Constraint:
    """A table's constraint, to the end of its item; raises Unreadable."""
    start = cursor.here
    name = cursor.identifier() if cursor.accept("constraint") else ""
    found = replace(_table_constraint(cursor, start), name=name)
    while not cursor.done:
        changed = _attributed(cursor, found)
        if changed is None:
            cursor.step()
        else:
            found = changed
    return replace(found, at=Span(start, cursor.last_end))


def _column_constraint(cursor: Cursor) -> Constraint:
    start = cursor.here
    name = cursor.identifier() if cursor.accept("constraint") else ""
    found = _column_kind(cursor, start)
    return replace(found, name=name, at=Span(start, cursor.last_end))


def _column_kind(cursor: Cursor, start: int) -> Constraint:
    at = Span(start, start)
    if cursor.accept("not", "null"):
        return Constraint(Kind.NOT_NULL, at)
    if cursor.accept("null"):
        return Constraint(Kind.NULL, at)
    if cursor.accept("default"):
        return Constraint(Kind.DEFAULT, at, expression=_default(cursor))
    if cursor.accept("generated"):
        return _generated(cursor, at)
    if cursor.accept("references"):
        return _references(cursor, at, ())
    return _shared(cursor, at)


def _table_constraint(cursor: Cursor, start: int) -> Constraint:
    at = Span(start, start)
    if cursor.accept("foreign", "key"):
        columns = _columns(cursor)
        cursor.expect("references")
        return _references(cursor, at, columns)
    if cursor.accept("exclude"):
        return Constraint(Kind.EXCLUDE, at)
    if cursor.accept("not", "null"):
        return Constraint(Kind.NOT_NULL, at, columns=(cursor.identifier(),))
    return _shared(cursor, at)


def _shared(cursor: Cursor, at: Span) -> Constraint:
    """What columns and tables write alike: CHECK, UNIQUE, PRIMARY KEY."""
    if cursor.accept("check"):
        return Constraint(Kind.CHECK, at, expression=cursor.group().rest())
    if cursor.accept("unique"):
        if cursor.accept("nulls"):
            cursor.accept("not")
            cursor.expect("distinct")
        return _keyed(cursor, Kind.UNIQUE, at)
    if cursor.accept("primary", "key"):
        return _keyed(cursor, Kind.PRIMARY_KEY, at)
    raise Unreadable("expected a constraint")


def _keyed(cursor: Cursor, kind: Kind, at: Span) -> Constraint:
    """Of a table with its columns or its index, of a column with neither; then parameters."""
    columns = _columns(cursor) if cursor.word() == "(" else ()
    if cursor.accept("include") or cursor.accept("with"):
        cursor.skip_group()
    index = ""
    if cursor.accept("using", "index"):
        tablespace = cursor.accept("tablespace")
        index = cursor.identifier()
        index = "" if tablespace else index
    return Constraint(kind, at, columns=columns, using_index=index)


def _columns(cursor: Cursor) -> tuple[str, ...]:
    """The first name of each item: `(a, period b)`, `(a, b without overlaps)`."""
    items = cursor.group().items()
    return tuple(item.identifier() for item in items)


def _references(cursor: Cursor, at: Span, columns: tuple[str, ...]) -> Constraint:
    table = cursor.name()
    cursor.skip_group()
    while _passes_action(cursor):
        pass
    return Constraint(Kind.FOREIGN_KEY, at, columns=columns, references=table)


def _passes_action(cursor: Cursor) -> bool:
    if cursor.accept("match"):
        cursor.next()
        return True
    if cursor.word() != "on" or cursor.word(1) not in {"delete", "update"}:
        return False
    cursor.accept("on", cursor.word(1))
    if cursor.accept("set"):
        cursor.next()
        cursor.skip_group()
    elif not cursor.accept("no", "action"):
        cursor.next()
    return True


def _generated(cursor: Cursor, at: Span) -> Constraint:
    if not cursor.accept("always"):
        cursor.expect("by", "default")
    cursor.expect("as")
    if cursor.accept("identity"):
        cursor.skip_group()
        return Constraint(Kind.IDENTITY, at)
    expression = cursor.group().rest()
    # PostgreSQL 18 made VIRTUAL the default; before, STORED had to be written.
    stored = cursor.accept("stored")
    cursor.accept("virtual")
    return Constraint(Kind.GENERATED, at, expression=expression, virtual=not stored)


def _default(cursor: Cursor) -> Expression:
    start = cursor.mark()
    last = ""
    while not cursor.done:
        word = cursor.word()
        # `default null`, and `is [not] null` or `is not distinct from` are parts of a default.
        if word in _ENDS and cursor.mark() > start and last not in {"is", "not"}:
            break
        last = word
        cursor.step()
    return cursor.since(start)


def _passes(cursor: Cursor) -> bool:
    """Passes over what is no constraint: COLLATE, STORAGE, COMPRESSION, OPTIONS."""
    if cursor.accept("collate"):
        cursor.name()
        return True
    if cursor.any_of("storage", "compression"):
        cursor.next()
        return True
    if cursor.accept("options"):
        return cursor.skip_group()
    return False


def _attributed(cursor: Cursor, constraint: Constraint) -> Constraint | None:
    """The constraint with the attribute that comes next; None if none does."""
    if cursor.accept("not", "valid"):
        return replace(constraint, not_valid=True)
    if cursor.accept("not", "deferrable") or cursor.accept("no", "inherit"):
        return constraint
    if cursor.accept("deferrable"):
        return replace(constraint, deferrable=True)
    if cursor.accept("initially"):
        return constraint if cursor.any_of("deferred", "immediate") else None
    if cursor.accept("not", "enforced"):
        return replace(constraint, enforced=False)
    if cursor.accept("enforced"):
        return constraint
    return None
