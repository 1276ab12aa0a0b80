"""Which relations a command changes that is neither a query nor DML, by its words.

Changed means: their rows or their definition. An index, a trigger, a rule, a policy and extended
statistics belong to the definition of their table. Comments, privileges and maintenance (VACUUM,
ANALYZE, CLUSTER, REINDEX, LOCK) change neither. Source: PostgreSQL 18 documentation, the commands'
synopses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbopt.sql.lexer import Token
from dbopt.sql.parts import lower, outermost
from dbopt.sql.query import Relation
from dbopt.sql.relations import names_at

_MODIFIERS = frozenset(
    [
        "constraint",
        "global",
        "local",
        "or",
        "recursive",
        "replace",
        "temp",
        "temporary",
        "unique",
        "unlogged",
    ]
)
_BEFORE_NAMES = (
    ("materialized", "view"),
    ("table",),
    ("concurrently",),
    ("if", "not", "exists"),
    ("if", "exists"),
    ("only",),
)
_TWO_WORDS = frozenset({"materialized", "foreign", "event"})
_ON_TABLE = frozenset({"trigger", "policy", "rule"})
_RELATIONS = frozenset({"table", "view", "materialized view", "foreign table"})


def changed(tokens: Sequence[Token]) -> list[Relation]:
    """The relations that CREATE, ALTER, DROP, TRUNCATE or REFRESH changes. Never raises."""
    verb, at = lower(tokens, 0, 1), 1
    if verb == ["truncate"]:
        return _names(tokens, 1)
    if verb == ["refresh"]:
        return _names(tokens, 1)
    if verb not in (["create"], ["alter"], ["drop"]):
        return []
    while lower(tokens, at, at + 1) and tokens[at].text.lower() in _MODIFIERS:
        at += 1
    words = lower(tokens, at, at + 2)
    size = 2 if words[:1] and words[0] in _TWO_WORDS else 1
    return list(_of_object(verb[0], " ".join(words[:size]), tokens, at + size))


def _of_object(verb: str, what: str, tokens: Sequence[Token], at: int) -> Iterator[Relation]:
    if what in _RELATIONS:
        yield from _names(tokens, at) if verb == "drop" else _names(tokens, at)[:1]
        yield from _partitions(verb, tokens, at)
    elif what == "index" and verb == "create":
        yield from _named_after(tokens, at, "on")
    elif what in _ON_TABLE:
        rule = verb == "create" and what == "rule"
        yield from _named_after(tokens, at, "to" if rule else "on")
    elif what == "statistics" and verb == "create":
        yield from _named_after(tokens, at, "from")


def _partitions(verb: str, tokens: Sequence[Token], at: int) -> Iterator[Relation]:
    """The other table of PARTITION OF, ATTACH PARTITION and DETACH PARTITION."""
    if verb == "drop":
        return
    for found in outermost(tokens, at, "partition"):
        if tokens[found - 1].text.lower() in {"attach", "detach"}:
            yield from _names(tokens, found + 1)[:1]
        elif lower(tokens, found + 1, found + 2) == ["of"]:
            yield from _names(tokens, found + 2)[:1]


def _named_after(tokens: Sequence[Token], at: int, word: str) -> Iterator[Relation]:
    for found in outermost(tokens, at, word):
        if names := _names(tokens, found + 1):
            yield names[0]
            return


def _names(tokens: Sequence[Token], at: int) -> list[Relation]:
    """The names at this token, behind what a synopsis may have before them."""
    for before in _BEFORE_NAMES:
        if tuple(lower(tokens, at, at + len(before))) == before:
            at += len(before)
    return names_at(tokens, at)
