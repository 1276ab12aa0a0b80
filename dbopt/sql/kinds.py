"""Kinds of statement by their first words: PostgreSQL 18's list of SQL commands."""

from __future__ import annotations

from dbopt.sql.query import Kind

_BY_KIND = {
    Kind.READ: "select table values with (",
    Kind.INSERT: "insert",
    Kind.UPDATE: "update",
    Kind.DELETE: "delete",
    Kind.MERGE: "merge",
    Kind.DDL: "create alter drop truncate comment security import",
    Kind.DCL: "grant revoke reassign",
    Kind.TRANSACTION: "begin start commit end rollback abort savepoint release",
    Kind.COPY: "copy",
    Kind.UTILITY: "vacuum analyze analyse cluster repack reindex checkpoint lock refresh",
    Kind.CALL: "call do execute",
    Kind.EXPLAIN: "explain",
    Kind.SESSION: "set reset show discard listen unlisten notify prepare deallocate declare fetch"
    " move close load",
}
_FIRST_WORD = {word: kind for kind, words in _BY_KIND.items() for word in words.split()}
_FIRST_WORDS = {
    "prepare transaction": Kind.TRANSACTION,
    "set transaction": Kind.TRANSACTION,
    "set constraints": Kind.TRANSACTION,
    "alter default": Kind.DCL,
}

QUERIES = frozenset({Kind.READ, Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE})
"""What EXPLAIN explains and PREPARE prepares."""

STRENGTH = {
    kind: strength
    for strength, kind in enumerate(
        (
            Kind.SESSION,
            Kind.TRANSACTION,
            Kind.EXPLAIN,
            Kind.READ,
            Kind.UTILITY,
            Kind.CALL,
            Kind.COPY,
            Kind.INSERT,
            Kind.UPDATE,
            Kind.MERGE,
            Kind.DELETE,
            Kind.DCL,
            Kind.DDL,
        )
    )
}
"""Of statements that run together the strongest names the whole; a larger number is stronger."""


def first_kind(words: tuple[str, ...]) -> Kind | None:
    """The kind by the first words, in lower case; None where PostgreSQL has no such command."""
    if not words:
        return None
    return _FIRST_WORDS.get(" ".join(words[:2])) or _FIRST_WORD.get(words[0])
