"""Where in its text a node of a tree stands: sqlglot's offsets brought back to the tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from sqlglot import exp

from dbopt.sql.lexer import Lexeme, Token
from dbopt.sql.parse import Statement
from dbopt.sql.respell import spellings


class Layout:
    """Where the nodes of a tree stand; `statement` is what it was parsed from."""

    def __init__(self, statement: Statement) -> None:
        self._tokens = statement.tokens

    def span(self, node: exp.Expr | None) -> tuple[int, int]:
        """Start and end of a node, as offsets in characters of the text that was split.

        sqlglot has parsed other spellings of the tokens (dbopt.sql.respell), and only names,
        constants and calls know their offsets. So a node spans the tokens of those in it, and
        the brackets that they open or close. A node that holds none of them is the whole
        statement, and so is None. Never raises.
        """
        found = _offsets(node) if node is not None else []
        if not found or not self._starts:
            return _bounds(self._tokens)
        low = self._token_at(min(start for start, _ in found))
        high = self._token_at(max(end for _, end in found))
        return _bounds(_balanced(self._tokens, low, high))

    @cached_property
    def _starts(self) -> list[int]:
        return _starts(spellings(self._tokens) or ())

    def _token_at(self, offset: int) -> int:
        return bisect_right(self._starts, offset) - 1


def _offsets(node: exp.Expr) -> list[tuple[int, int]]:
    metas = (part.meta for part in node.walk() if part.meta)
    return [(meta["start"], meta["end"]) for meta in metas if "start" in meta]


def _starts(parts: Sequence[str]) -> list[int]:
    starts, at = [], 0
    for part in parts:
        starts.append(at)
        at += len(part) + 1
    return starts


def _balanced(tokens: Sequence[Token], low: int, high: int) -> Sequence[Token]:
    """The tokens from low to high, and as many around them as balance their parentheses."""
    depth = missing = 0
    for token in tokens[low : high + 1]:
        depth += _step(token)
        missing = max(missing, -depth)
    while missing > 0 and low > 0:
        low -= 1
        missing -= _step(tokens[low])
    depth = sum(map(_step, tokens[low : high + 1]))
    while depth > 0 and high + 1 < len(tokens):
        high += 1
        depth += _step(tokens[high])
    return tokens[low : high + 1]


def _step(token: Token) -> int:
    if token.lexeme is not Lexeme.PUNCT:
        return 0
    return {"(": 1, ")": -1}.get(token.text, 0)


def _bounds(tokens: Sequence[Token]) -> tuple[int, int]:
    last = tokens[-1]
    return tokens[0].start, last.start + len(last.text)
