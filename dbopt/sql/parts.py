"""Parts of a statement: some of its tokens in a row, as a statement of their own."""

from __future__ import annotations

from collections.abc import Sequence

from dbopt.sql.lexer import Lexeme, Token
from dbopt.sql.parse import Statement


def lower(tokens: Sequence[Token], start: int, end: int) -> list[str]:
    """The texts of these tokens in lower case."""
    return [token.text.lower() for token in tokens[start:end]]


def closing(tokens: Sequence[Token], start: int) -> int:
    """The index of the parenthesis that closes the one at `start`; the end if none does."""
    depth = 0
    for at in range(start, len(tokens)):
        depth += bracket(tokens[at])
        if depth == 0:
            return at
    return len(tokens)


def bracket(token: Token) -> int:
    """1 for an opening parenthesis, -1 for a closing one, else 0."""
    if token.lexeme is not Lexeme.PUNCT:
        return 0
    return {"(": 1, ")": -1}.get(token.text, 0)


def outermost(tokens: Sequence[Token], start: int, *words: str) -> list[int]:
    """Where these keywords stand outside of all parentheses, from `start` on."""
    found: list[int] = []
    depth = 0
    for at in range(start, len(tokens)):
        token = tokens[at]
        depth += bracket(token)
        if depth == 0 and token.lexeme is Lexeme.WORD and token.text.lower() in words:
            found.append(at)
    return found


def rest(statement: Statement, at: int) -> Statement:
    """The statement from this token on."""
    return part(statement, statement.tokens[at:])


def part(statement: Statement, tokens: Sequence[Token]) -> Statement:
    """Some tokens of a statement in a row."""
    if not tokens:
        return Statement("", ())
    base = statement.tokens[0].start
    last = tokens[-1]
    text = statement.text[tokens[0].start - base : last.start + len(last.text) - base]
    return Statement(text, tuple(tokens))
