"""What of a long text is judged by its tokens: whether it holds unqualified writes, or DDL.

dbopt.sql.parse reads no more than LONGEST_READ characters. Whoever pads a DELETE behind so many
must not get it past the guard, nor an UPDATE be refused whose WHERE stands behind a long constant.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from dbopt.sql.inside import declared, explained, prepared
from dbopt.sql.kinds import first_kind
from dbopt.sql.lexer import Lexeme
from dbopt.sql.parse import Statement, split
from dbopt.sql.query import Kind
from dbopt.sql.unqualified import is_unqualified_text

_TELLING = re.compile(
    r"update|delete|create|alter|drop|truncate|comment|security|import|grant|revoke|reassign|into"
    r"|\bdo\b",
    re.IGNORECASE,
)
"""Without any of these words there is neither. A keyword cannot be quoted or escaped."""
_DEEPEST = 3
"""EXPLAIN of a statement, and what PREPARE and DECLARE hold: they nest no deeper."""


class Skimmed(NamedTuple):
    """As in dbopt.sql.query.Query; `ddl` is true of GRANT, REVOKE and DO too."""

    unqualified: bool
    ddl: bool


def skim(text: str) -> Skimmed:
    """The whole text, in linear time: rather too often than not. Never raises."""
    if not _TELLING.search(text):
        return Skimmed(False, False)
    found = [_skim(statement) for statement in split(text)]
    return Skimmed(any(one.unqualified for one in found), any(one.ddl for one in found))


def _skim(statement: Statement) -> Skimmed:
    inner = _innermost(statement)
    kind = first_kind(inner.words)
    words = {t.text.lower() for t in inner.tokens if t.lexeme is Lexeme.WORD and len(t.text) == 4}
    ddl = kind in (Kind.DDL, Kind.DCL) or is_do(inner) or (kind is Kind.READ and "into" in words)
    return Skimmed(is_unqualified_text(inner.tokens), ddl)


def _innermost(statement: Statement) -> Statement:
    for _ in range(_DEEPEST):
        inner = None
        if statement.words[0] == "explain":
            inner = explained(statement).statement
        elif statement.words[0] == "prepare":
            inner = prepared(statement)
        elif statement.words[0] == "declare":
            inner = declared(statement)
        if inner is None or not inner.tokens:
            return statement
        statement = inner
    return statement


def is_do(statement: Statement) -> bool:
    """Whether it is DO, of which nobody knows what the code in it does."""
    return statement.words[:1] == ("do",)
