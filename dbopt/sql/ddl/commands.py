"""Reads the other commands that the rules ask about: DROP, TRUNCATE, VACUUM, LOCK, DML, SET."""

from __future__ import annotations

from dbopt.sql.ddl.constraints import read_column_constraints
from dbopt.sql.ddl.cursor import Cursor, Unreadable
from dbopt.sql.ddl.elements import Name, Span
from dbopt.sql.ddl.model import (
    AlterDomain,
    Create,
    CreateDomain,
    CreateTrigger,
    Drop,
    LockTable,
    Maintain,
    Refresh,
    Setting,
    Transaction,
    Truncate,
    Write,
)
from dbopt.sql.ddl.types import read_type
from dbopt.sql.lexer import Lexeme, Token
from dbopt.sql.reader import string_value

_ON_TABLES = frozenset({"trigger", "rule", "policy"})
_AFTER_NAMES = frozenset({"=", "to", "."})
_OFF = frozenset({"false", "off", "0"})
MODES = (
    "access share",
    "row share",
    "row exclusive",
    "share update exclusive",
    "share row exclusive",
    "share",
    "exclusive",
    "access exclusive",
)


def read_drop(cursor: Cursor, at: Span, kind: str) -> Drop:
    """DROP from behind the kind of object on; raises Unreadable."""
    concurrently = cursor.accept("concurrently")
    guarded = cursor.accept("if", "exists")
    names = [cursor.name()]
    cursor.skip_group()
    while cursor.accept(","):
        names.append(cursor.name())
        cursor.skip_group()
    table = cursor.name() if kind in _ON_TABLES and cursor.accept("on") else None
    cascade = cursor.accept("cascade")
    return Drop(at, kind, tuple(names), guarded, concurrently, cascade, table)


def read_truncate(cursor: Cursor, at: Span) -> Truncate:
    """TRUNCATE from behind that word on; raises Unreadable."""
    cursor.accept("table")
    tables = cursor.names()
    cursor.skip_to("cascade")
    return Truncate(at, tables, cursor.accept_place("cascade"))


def read_refresh(cursor: Cursor, at: Span) -> Refresh:
    """REFRESH from behind that word on; raises Unreadable."""
    cursor.expect("materialized", "view")
    concurrently = cursor.accept("concurrently")
    return Refresh(at, cursor.name(), concurrently, cursor.accept("with", "no", "data"))


def read_trigger(cursor: Cursor, at: Span) -> CreateTrigger:
    """CREATE TRIGGER from behind the word TRIGGER on; raises Unreadable."""
    name = cursor.identifier()
    if not cursor.skip_to("on"):
        raise Unreadable("expected ON")
    cursor.accept("on")
    table = cursor.name()
    references = cursor.name() if cursor.accept("from") else None
    return CreateTrigger(at, name, table, references)


def read_create_domain(cursor: Cursor, at: Span) -> CreateDomain:
    """CREATE DOMAIN from behind these words on; raises Unreadable."""
    name = cursor.name()
    cursor.accept("as")
    return CreateDomain(at, name, read_type(cursor), read_column_constraints(cursor))


def read_alter_domain(cursor: Cursor, at: Span) -> AlterDomain:
    """ALTER DOMAIN from behind these words on; raises Unreadable."""
    name = cursor.name()
    words = (cursor.word(), cursor.word(1))
    if not cursor.accept("add"):
        return AlterDomain(at, name, None, words)
    found = read_column_constraints(cursor)
    return AlterDomain(at, name, found[0] if found else None, words)


def read_create(cursor: Cursor, at: Span, kind: str, start: Create) -> Create:
    """CREATE of any other object; `start` has what was read before its kind."""
    guarded = cursor.accept("if", "not", "exists")
    name = Name("", "", at)
    if cursor.lexeme() in {Lexeme.WORD, Lexeme.NAME}:
        name = cursor.name()
    table = None
    if (kind == "policy" and cursor.accept("on")) or (kind == "rule" and _to(cursor)):
        table = cursor.name()
    return Create(at, kind, name, start.or_replace, guarded, start.temporary, table)


def _to(cursor: Cursor) -> bool:
    """Passes over `AS ON event TO` of CREATE RULE."""
    return cursor.skip_to("to") and cursor.accept("to")


def read_maintain(cursor: Cursor, at: Span, command: str) -> Maintain:
    """VACUUM, ANALYZE, CLUSTER or REPACK from behind that word on; raises Unreadable."""
    options: set[str] = set()
    if cursor.word() == "(":
        items = cursor.group().items()
        options = {item.word() for item in items if item.word(1) not in _OFF}
    while word := cursor.any_of("full", "freeze", "verbose", "analyze", "analyse"):
        options.add(word)
    tables: list[Name] = []
    while cursor.lexeme() in {Lexeme.WORD, Lexeme.NAME} and cursor.word() != "using":
        tables.append(cursor.relation())
        cursor.skip_group()
        if not cursor.accept(","):
            break
    if command == "cluster" and cursor.accept("on"):  # CLUSTER index ON table, until 8.3
        tables = [cursor.name()]
    return Maintain(at, command, tuple(tables), "full" in options, "concurrently" in options)


def read_lock(cursor: Cursor, at: Span) -> LockTable:
    """LOCK from behind that word on; raises Unreadable."""
    cursor.accept("table")
    tables = cursor.names()
    mode = "access exclusive"
    if cursor.accept("in"):
        mode = next((one for one in MODES if cursor.accept(*one.split())), "")
        if not mode or not cursor.accept("mode"):
            raise Unreadable("expected the mode of a lock")
    return LockTable(at, tables, mode.upper(), cursor.accept("nowait"))


def read_update(cursor: Cursor, at: Span) -> Write:
    """UPDATE from behind that word on; raises Unreadable."""
    return Write(at, "update", cursor.relation(), filtered=cursor.finds("where"))


def read_delete(cursor: Cursor, at: Span) -> Write:
    """DELETE from behind that word on; raises Unreadable."""
    cursor.expect("from")
    return Write(at, "delete", cursor.relation(), filtered=cursor.finds("where"))


def read_insert(cursor: Cursor, at: Span, command: str) -> Write:
    """INSERT or MERGE from behind that word on; raises Unreadable."""
    cursor.expect("into")
    table = cursor.name()
    query = command == "merge" or not (cursor.finds("values") or cursor.finds("default", "values"))
    return Write(at, command, table, query=query)


def read_setting(cursor: Cursor, at: Span) -> Setting | Transaction:
    """SET from behind that word on; raises Unreadable."""
    local = cursor.word(1) not in _AFTER_NAMES and cursor.accept("local")
    if cursor.word(1) not in _AFTER_NAMES:
        cursor.accept("session")
    if cursor.word() in {"transaction", "characteristics", "constraints"}:
        return Transaction(at, "set")
    name = str(cursor.name())
    if not cursor.accept("="):
        cursor.accept("to")
    tokens = () if cursor.done else cursor.rest().tokens
    return Setting(at, name, _value(tokens), local)


def read_set_config(cursor: Cursor, at: Span) -> Setting:
    """`SELECT set_config('name', 'value', local)` from behind the call's name on."""
    items = cursor.group().items()
    if len(items) != 3:
        raise Unreadable("expected three arguments")
    name, value, local = (item.rest().tokens for item in items)
    return Setting(at, _value(name) or "", _value(value), local[0].text.lower() not in _OFF)


def _value(tokens: tuple[Token, ...]) -> str | None:
    """What one constant or word says; None for DEFAULT and for anything else."""
    if len(tokens) != 1 or tokens[0].text.lower() == "default":
        return None
    told = string_value(tokens[0])
    return tokens[0].text if told is None and tokens[0].lexeme is not Lexeme.STRING else told
