"""What one statement says, as far as the rules ask. Never raises."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from dbopt.sql.ddl.alter import read_alter
from dbopt.sql.ddl.commands import (
    read_alter_domain,
    read_create,
    read_create_domain,
    read_delete,
    read_drop,
    read_insert,
    read_lock,
    read_maintain,
    read_refresh,
    read_set_config,
    read_setting,
    read_trigger,
    read_truncate,
    read_update,
)
from dbopt.sql.ddl.cursor import Cursor, Unreadable
from dbopt.sql.ddl.elements import Name, Span
from dbopt.sql.ddl.indexes import read_create_index, read_reindex
from dbopt.sql.ddl.model import (
    AddEnumValue,
    Alter,
    Block,
    Create,
    CreateTable,
    Node,
    Other,
    OtherAction,
    Setting,
    Transaction,
    Unread,
    Write,
)
from dbopt.sql.ddl.tables import read_create_table
from dbopt.sql.parse import Statement as Source

Reader = Callable[[Cursor, Span], Node]
_OBJECTS = (
    ("foreign", "data", "wrapper"),
    ("foreign", "table"),
    ("materialized", "view"),
    ("event", "trigger"),
    ("access", "method"),
    ("user", "mapping"),
    ("operator", "class"),
    ("operator", "family"),
    ("text", "search", "configuration"),
    ("text", "search", "dictionary"),
    ("text", "search", "parser"),
    ("text", "search", "template"),
    ("default", "privileges"),
    ("large", "object"),
)
"""Kinds of object that have more words than one."""
_ALTERED = frozenset(
    {"table", "foreign table", "view", "materialized view", "index", "sequence", "schema"}
    | {"database", "tablespace"}
)
"""Kinds of object whose ALTER is read: by its name and its actions."""
_ON_TABLES = frozenset({"policy", "rule", "trigger"})
_BEFORE_KIND = ("global", "local", "unlogged", "recursive", "trusted", "procedural", "constraint")
_DROPPED_BY_OTHER_NAMES = frozenset(
    {"cast", "operator", "operator class", "operator family", "transform", "owned", "user mapping"}
)


def node(source: Source) -> Node:
    """What a statement says: one of a kind that rules need, and that cannot be read, is Unread;
    any other one is Other."""
    return _node(source, _READERS)


def inner_node(source: Source) -> Node:
    """The same of a statement in a body of PL/pgSQL, where SELECT INTO sets a variable."""
    if len(source.tokens) > 1 and source.tokens[1].text in _ASSIGNS:
        return Other(_place(source))
    return _node(source, _INNER_READERS)


_ASSIGNS = frozenset({":=", "=", ".", "["})


def _node(source: Source, readers: Mapping[str, Reader]) -> Node:
    at = _place(source)
    reader = readers.get(source.tokens[0].text.lower())
    if reader is None:
        return Other(at)
    cursor = Cursor(source.tokens)
    cursor.next()
    try:
        return reader(cursor, at)
    except Unreadable as why:
        return Unread(at, source.words[:3], str(why))


def _place(source: Source) -> Span:
    start = source.tokens[0].start
    return Span(start, start + len(source.text))


def _create(cursor: Cursor, at: Span) -> Node:
    replaced = cursor.accept("or", "replace")
    temporary = False
    unique = cursor.accept("unique")
    while word := cursor.any_of("temporary", "temp", *_BEFORE_KIND):
        temporary = temporary or word in {"temporary", "temp"}
    kind = _kind(cursor)
    if kind == "table":
        return read_create_table(cursor, at, temporary=temporary)
    if kind == "index":
        return read_create_index(cursor, at, unique=unique)
    if kind == "trigger":
        return read_trigger(cursor, at)
    if kind == "domain":
        return read_create_domain(cursor, at)
    return read_create(cursor, at, kind, Create(at, kind, _NOBODY, replaced, False, temporary))


def _alter(cursor: Cursor, at: Span) -> Node:
    kind = _kind(cursor)
    if kind == "domain":
        return read_alter_domain(cursor, at)
    if kind == "type":
        return _alter_type(cursor, at)
    if kind == "system":
        return Alter(at, kind, Name("", kind, at), if_exists=False)
    if kind in _ON_TABLES:
        return _alter_on_table(cursor, at, kind)
    if kind in _ALTERED and not cursor.accept("all", "in", "tablespace"):
        return read_alter(cursor, at, kind)
    return Other(at)


def _alter_on_table(cursor: Cursor, at: Span, kind: str) -> Node:
    """ALTER POLICY, RULE and TRIGGER: what they change is of the table."""
    cursor.identifier()
    cursor.expect("on")
    return Alter(at, "table", cursor.name(), False, (OtherAction(at, ("alter", kind)),))


def _alter_type(cursor: Cursor, at: Span) -> Node:
    mark = cursor.mark()
    name = cursor.name()
    if cursor.accept("add", "value"):
        guarded = cursor.accept("if", "not", "exists")
        value = cursor.next().text
        return AddEnumValue(at, name, value, guarded, bool(cursor.any_of("before", "after")))
    return read_alter(cursor.back(mark), at, "type")


def _drop(cursor: Cursor, at: Span) -> Node:
    kind = _kind(cursor)
    if kind in _DROPPED_BY_OTHER_NAMES:
        return Other(at)
    return read_drop(cursor, at, kind)


def _kind(cursor: Cursor) -> str:
    for words in _OBJECTS:
        if cursor.accept(*words):
            return " ".join(words)
    return cursor.next().text.lower()


def _begin(cursor: Cursor, at: Span) -> Node:
    return Transaction(at, "begin")


def _commit(cursor: Cursor, at: Span) -> Node:
    return Transaction(at, "commit", _chains(cursor))


def _rollback(cursor: Cursor, at: Span) -> Node:
    cursor.any_of("work", "transaction")
    if cursor.accept("to"):
        return Transaction(at, "rollback to")
    return Transaction(at, "rollback", _chains(cursor))


def _chains(cursor: Cursor) -> bool:
    cursor.any_of("work", "transaction")
    return cursor.accept("and", "chain")


def _prepare(cursor: Cursor, at: Span) -> Node:
    if cursor.accept("transaction"):
        return Transaction(at, "prepare")
    return Other(at)


def _perform(cursor: Cursor, at: Span) -> Node:
    cursor.accept("pg_catalog", ".")
    return read_set_config(cursor, at) if cursor.accept("set_config") else Other(at)


def _select(cursor: Cursor, at: Span) -> Node:
    found = _perform(cursor, at)
    if isinstance(found, Setting) or not cursor.skip_to("into"):
        return found
    # The table that SELECT ... INTO makes; what is no name there, PostgreSQL refuses.
    cursor.accept("into")
    temporary = False
    while word := cursor.any_of("temporary", "temp", "local", "global", "unlogged", "table"):
        temporary = temporary or word in {"temporary", "temp"}
    return CreateTable(at, cursor.name(), if_not_exists=False, temporary=temporary, query=True)


def _with(cursor: Cursor, at: Span) -> Node:
    """The write that common table expressions stand before, if it is one."""
    while not cursor.done:
        reader = _READERS.get(cursor.any_of("update", "delete", "insert", "merge"))
        if reader is not None:
            return reader(cursor, at)
        cursor.step()
    return Other(at)


def _reset(cursor: Cursor, at: Span) -> Node:
    return Setting(at, str(cursor.name()), None)


def _discard(cursor: Cursor, at: Span) -> Node:
    return Setting(at, "all", None) if cursor.accept("all") else Other(at)


def _copy(cursor: Cursor, at: Span) -> Node:
    if cursor.word() == "(":
        return Other(at)
    table = cursor.name()
    cursor.skip_group()
    return Write(at, "copy", table, query=True) if cursor.accept("from") else Other(at)


_NOBODY = Name("", "", Span(0, 0))
_READERS: dict[str, Reader] = {
    "create": _create,
    "alter": _alter,
    "drop": _drop,
    "begin": _begin,
    "start": _begin,
    "commit": _commit,
    "end": _commit,
    "rollback": _rollback,
    "abort": _rollback,
    "savepoint": lambda _, at: Transaction(at, "savepoint"),
    "release": lambda _, at: Transaction(at, "release"),
    "prepare": _prepare,
    "set": read_setting,
    "reset": _reset,
    "discard": _discard,
    "select": _select,
    "reindex": read_reindex,
    "truncate": read_truncate,
    "refresh": read_refresh,
    "vacuum": lambda cursor, at: read_maintain(cursor, at, "vacuum"),
    "cluster": lambda cursor, at: read_maintain(cursor, at, "cluster"),
    "repack": lambda cursor, at: read_maintain(cursor, at, "repack"),
    "analyze": lambda cursor, at: read_maintain(cursor, at, "analyze"),
    "lock": read_lock,
    "update": read_update,
    "delete": read_delete,
    "insert": lambda cursor, at: read_insert(cursor, at, "insert"),
    "merge": lambda cursor, at: read_insert(cursor, at, "merge"),
    "with": _with,
    "copy": _copy,
    "do": lambda _, at: Block(at, "do"),
    "call": lambda _, at: Block(at, "call"),
}
_INNER_READERS = {
    **_READERS,
    "select": _perform,
    "perform": _perform,
    "execute": lambda _, at: Block(at, "execute"),
}
