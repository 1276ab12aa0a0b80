"""A long statement without most of its constants, so that it can be parsed.

Long texts are long by their constants: a document in a string, an IN list, rows of VALUES. None of
them changes what the statement does, and its fingerprint leaves them out as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dbopt.sql.lexer import LITERALS, Lexeme, Token

_LONGEST_STRING = 100
_MOST_ITEMS = 200
"""Constants of a list that are kept; the complexity score counts no more."""
_MOST_ROWS = 20
_SIMPLE = LITERALS | {Lexeme.PARAM}
_SIGNS = frozenset({",", "+", "-"})
_WORDS = frozenset({"null", "true", "false", "default"})


def shortened(tokens: Sequence[Token]) -> list[Token]:
    """The tokens with long strings emptied, and long lists and rows of constants cut. Linear."""
    found: list[Token] = []
    at = rows = 0
    while at < len(tokens):
        end = _end_of_list(tokens, at)
        if end < 0:
            rows = rows if tokens[at].text == "," else 0
            found.append(_short(tokens[at]))
            at += 1
            continue
        rows += 1
        if rows > _MOST_ROWS and found[-1].text == ",":
            found.pop()
        else:
            found.extend(_items(tokens[at : end + 1]))
        at = end + 1
    return found


def _end_of_list(tokens: Sequence[Token], start: int) -> int:
    """Where a parenthesis with constants alone closes; -1 if something else is here."""
    if tokens[start].text not in {"(", "["}:
        return -1
    for at in range(start + 1, len(tokens)):
        token = tokens[at]
        if token.lexeme in _SIMPLE or token.text in _SIGNS or token.text.lower() in _WORDS:
            continue
        return at if token.text in {")", "]"} and at > start + 1 else -1
    return -1


def _items(tokens: Sequence[Token]) -> Iterator[Token]:
    commas = 0
    for token in tokens[:-1]:
        commas += token.text == ","
        if commas >= _MOST_ITEMS:
            break
        yield _short(token)
    yield tokens[-1]


def _short(token: Token) -> Token:
    if token.lexeme is not Lexeme.STRING or len(token.text) <= _LONGEST_STRING:
        return token
    return Token(Lexeme.STRING, "''", token.start)
