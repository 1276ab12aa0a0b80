"""Reads CREATE INDEX and REINDEX. What an index means is for dbopt.sql.indexreader."""

from __future__ import annotations

from dbopt.sql.ddl.cursor import Cursor
from dbopt.sql.ddl.elements import Span
from dbopt.sql.ddl.model import CreateIndex, Reindex


def read_create_index(cursor: Cursor, at: Span, *, unique: bool) -> CreateIndex:
    """CREATE INDEX from behind the word INDEX on; raises Unreadable."""
    concurrently = cursor.accept_place("concurrently")
    guarded = cursor.accept("if", "not", "exists")
    name = None if cursor.word() == "on" else cursor.name()
    cursor.expect("on")
    only = cursor.accept("only")
    table = cursor.name()
    cursor.accept("*")
    if cursor.accept("using"):
        cursor.identifier()
    keys = len(cursor.group().items())
    return CreateIndex(at, name, table, unique, concurrently, guarded, only, keys)


def read_reindex(cursor: Cursor, at: Span) -> Reindex:
    """REINDEX from behind that word on; raises Unreadable."""
    concurrently = cursor.word() == "(" and "concurrently" in _options(cursor.group())
    what = cursor.any_of("index", "table", "schema", "database", "system")
    concurrently |= cursor.accept("concurrently")
    name = None if cursor.done else cursor.name()
    return Reindex(at, what, name, concurrently)


def _options(cursor: Cursor) -> set[str]:
    """The options that are on: `(verbose, concurrently false)` has verbose."""
    off = {"false", "off", "0"}
    return {item.word() for item in cursor.items() if item.word(1) not in off}
