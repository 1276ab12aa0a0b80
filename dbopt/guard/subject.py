"""What the guard judges of a text: what PREPARE and DECLARE hold, and each statement of several.

SQL's EXECUTE runs what a PREPARE of the same client brought, which was judged then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from dbopt.sql.lexer import Token
from dbopt.sql.parse import LONGEST_PARSED, Statement, split
from dbopt.sql.query import Complexity, Kind, Query

Analyze = Callable[[str], Query]

_HARMLESS = (Kind.TRANSACTION, Kind.SESSION)
_NO_COMPLEXITY = Complexity(0, "simple", ())
_HOLDS = {"prepare": "as", "declare": "for"}
"""A statement that holds another, by its first word, and the word that stands before that."""


def subject(text: str, fingerprint: int, analyze: Analyze) -> Query | None:
    """The query of a text as the guard takes it; None where it holds no statement. Never raises.

    `fingerprint` is the text's own, which the lists and the quarantine go by.
    """
    if len(text) > LONGEST_PARSED:
        return replace(analyze(text), fingerprint=fingerprint)
    statements = split(text)
    if not statements:
        return None
    held = [_held(statement) for statement in statements]
    if len(held) == 1:
        return replace(_judged(held[0], analyze), fingerprint=fingerprint)
    whole = analyze(";\n".join(one.text for one in held))
    read_only = all(_writes_nothing(_judged(one, analyze)) for one in held)
    return replace(whole, fingerprint=fingerprint, read_only=read_only)


def _writes_nothing(query: Query) -> bool:
    return query.read_only or query.kind in _HARMLESS


def _judged(statement: Statement, analyze: Analyze) -> Query:
    query = analyze(statement.text)
    first = statement.words[:1]
    if first == ("execute",):
        return replace(query, kind=Kind.SESSION)
    if first == ("explain",) and _only_plans(statement.text):
        return replace(query, complexity=_NO_COMPLEXITY, read_only=True)
    return query


def _only_plans(text: str) -> bool:
    """Whether an EXPLAIN has certainly no ANALYZE: the word may be quoted, its letters escaped."""
    return "analy" not in text.lower() and "\\" not in text


def _held(statement: Statement) -> Statement:
    """The statement inside a PREPARE or a DECLARE CURSOR; else the statement itself."""
    words = statement.words
    before = _HOLDS.get(words[0])
    if before is None or words[:2] == ("prepare", "transaction"):
        return statement
    for at, token in enumerate(statement.tokens[:-1]):
        if at > 1 and token.text.lower() == before and _is_outside(statement.tokens[:at]):
            return _from(statement, at + 1)
    return statement


def _is_outside(tokens: tuple[Token, ...]) -> bool:
    """Whether no parenthesis is open after these: a PREPARE has its parameters' types in some."""
    texts = [token.text for token in tokens]
    return texts.count("(") == texts.count(")")


def _from(statement: Statement, at: int) -> Statement:
    tokens = statement.tokens[at:]
    return Statement(statement.text[tokens[0].start - statement.tokens[0].start :], tokens)
