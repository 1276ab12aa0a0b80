"""Whether a default is the same for every row, so that no row has to be written for it."""

from __future__ import annotations

from itertools import pairwise

from dbopt.sql.callwords import COL_NAMES, RESERVED
from dbopt.sql.ddl.elements import Expression
from dbopt.sql.functions import volatility
from dbopt.sql.lexer import Lexeme, Token, unquote

_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
_NO_CALLS = RESERVED | COL_NAMES


def unsteady_call(expression: Expression) -> str:
    """The first function that may give each row a value of its own, "" where there is none.

    A function that is not PostgreSQL's own may be volatile, so it counts.
    """
    before = ""
    for token, following in pairwise((*expression.tokens, _NOTHING)):
        if following.text == "(" and _is_call(token, before):
            name = unquote(token.text)
            if volatility("" if before != "." else "pg_catalog", name) not in {"i", "s"}:
                return name
        before = token.text
    return ""


def is_null(expression: Expression) -> bool:
    """Whether it is NULL, with a cast or without one."""
    return expression.words[:1] == ("null",) and (
        len(expression.tokens) == 1 or expression.words[1] == "::"
    )


_NOTHING = Token(Lexeme.SPACE, "", 0)


def _is_call(token: Token, before: str) -> bool:
    if token.lexeme not in _NAMES or before == "::":
        return False
    return token.lexeme is Lexeme.NAME or token.text.lower() not in _NO_CALLS
