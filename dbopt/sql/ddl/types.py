"""Reads the name of a type. Source: PostgreSQL 18 documentation, 8 Data Types, and its grammar."""

from __future__ import annotations

from dbopt.sql.ddl.cursor import Cursor, Unreadable
from dbopt.sql.ddl.elements import Span, TypeName
from dbopt.sql.lexer import Lexeme

_SPELLINGS = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "serial4": "serial",
    "serial8": "bigserial",
    "serial2": "smallserial",
    "char": "character",
    "nchar": "character",
    "bpchar": "character",
    "bool": "boolean",
    "float8": "double precision",
    "float4": "real",
    "dec": "numeric",
    "decimal": "numeric",
}
_FIELDS = ("year", "month", "day", "hour", "minute", "second", "to")


def read_type(cursor: Cursor) -> TypeName:
    """The type that comes next; raises Unreadable."""
    start = cursor.here
    cursor.accept("setof")
    schema, name = "", _standard(cursor)
    if not name:
        schema, name = _named(cursor)
    modifiers = _modifiers(cursor)
    if name in {"timestamp", "time"}:
        name = _zoned(cursor, name)
    elif name == "interval":
        while cursor.any_of(*_FIELDS):
            pass
        modifiers = modifiers or _modifiers(cursor)
    array = _array(cursor)
    return TypeName(name, schema, modifiers, array, Span(start, cursor.last_end))


def _standard(cursor: Cursor) -> str:
    """The types that SQL writes with several words; "" if none comes next."""
    if cursor.accept("double", "precision"):
        return "double precision"
    national = cursor.accept("national")
    if word := cursor.any_of("character", "char", "nchar"):
        if cursor.accept("varying"):
            return "varchar"
        return _SPELLINGS.get(word, word)
    if national:
        raise Unreadable("expected CHARACTER")
    if cursor.accept("bit"):
        return "varbit" if cursor.accept("varying") else "bit"
    return ""


def _named(cursor: Cursor) -> tuple[str, str]:
    quoted = cursor.lexeme() is Lexeme.NAME
    found = cursor.name()
    if cursor.accept("%", "type"):
        return found.schema, f"{found.name}%type"
    if quoted and not found.schema and found.name == "char":
        # "char" is another type than char: one byte.
        return "", '"char"'
    if found.schema in {"", "pg_catalog"}:
        return "", _SPELLINGS.get(found.name, found.name)
    return found.schema, found.name


def _modifiers(cursor: Cursor) -> tuple[str, ...]:
    if cursor.word() != "(":
        return ()
    items = cursor.group().items()
    return tuple("".join(token.text for token in item.rest().tokens) for item in items)


def _zoned(cursor: Cursor, name: str) -> str:
    if cursor.accept("with", "time", "zone"):
        return f"{name}tz"
    cursor.accept("without", "time", "zone")
    return name


def _array(cursor: Cursor) -> bool:
    found = cursor.accept("array")
    while cursor.word() == "[":
        cursor.step()
        found = True
    return found
