"""The statement inside a statement: what EXPLAIN, PREPARE, DECLARE, COPY and CREATE AS are about.

Source: PostgreSQL 18 documentation, the synopses of these commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from dbopt.sql.kinds import QUERIES, first_kind
from dbopt.sql.lexer import Lexeme, Token, unquote
from dbopt.sql.parse import Statement
from dbopt.sql.parts import closing, lower, outermost, part, rest

_CURSOR_WORDS = frozenset(
    ["asensitive", "binary", "cursor", "hold", "insensitive", "no", "scroll", "with", "without"]
)
_BEFORE_OBJECT = frozenset(
    ["global", "local", "materialized", "or", "recursive", "replace", "temp", "temporary"]
)
_ENDINGS = (
    ("with", "no", "data"),
    ("with", "data"),
    ("with", "check", "option"),
    ("with", "local", "check", "option"),
    ("with", "cascaded", "check", "option"),
)


class Explained(NamedTuple):
    """The statement inside an EXPLAIN, and whether ANALYZE is among the options: it is run."""

    statement: Statement
    runs: bool


def explained(statement: Statement) -> Explained:
    """What an EXPLAIN explains. `ANALYZE false` counts as ANALYZE: the value may be a literal."""
    tokens, at = statement.tokens, 1
    if statement.words[1:2] == ("(",) and first_kind(statement.words[2:]) not in QUERIES:
        at = closing(tokens, 1) + 1
    while at < len(tokens) and tokens[at].text.lower() in {"analyze", "analyse", "verbose"}:
        at += 1
    return Explained(rest(statement, at), any(_may_say_analyze(token) for token in tokens[1:at]))


def _may_say_analyze(token: Token) -> bool:
    """An option's name may be quoted, and its letters escaped: U&"\\0061nalyze"."""
    if token.lexeme is Lexeme.NAME and token.text[0] != '"':
        return True
    return unquote(token.text) in {"analyze", "analyse"}


def prepared(statement: Statement) -> Statement | None:
    """What `PREPARE name (types) AS` prepares."""
    tokens, at = statement.tokens, 2
    if lower(tokens, at, at + 1) == ["("]:
        at = closing(tokens, at) + 1
    return rest(statement, at + 1) if lower(tokens, at, at + 1) == ["as"] else None


def declared(statement: Statement) -> Statement | None:
    """The query of a `DECLARE name CURSOR FOR`."""
    tokens, at = statement.tokens, 2
    while at < len(tokens) and tokens[at].text.lower() in _CURSOR_WORDS:
        at += 1
    return rest(statement, at + 1) if lower(tokens, at, at + 1) == ["for"] else None


def created_as(statement: Statement) -> Statement | None:
    """The query of a CREATE TABLE, VIEW or MATERIALIZED VIEW ... AS, if there is one."""
    words = lower(statement.tokens, 1, 8)
    while words and words[0] in {*_BEFORE_OBJECT, "unlogged"}:
        del words[0]
    if words[:1] not in (["table"], ["view"]):
        return None
    for at in outermost(statement.tokens, 2, "as")[:1]:
        return part(statement, _without_ending(statement.tokens[at + 1 :]))
    return None


def _without_ending(tokens: Sequence[Token]) -> Sequence[Token]:
    for ending in _ENDINGS:
        size = len(ending)
        if tuple(lower(tokens, max(len(tokens) - size, 0), len(tokens))) == ending:
            return tokens[:-size]
    return tokens


def elements(statement: Statement) -> list[Statement]:
    """The commands inside a CREATE SCHEMA."""
    starts = outermost(statement.tokens, 2, "create", "grant")
    return [
        part(statement, statement.tokens[start:end])
        for start, end in pairwise([*starts, len(statement.tokens)])
    ]
