"""A statement's text as dbopt shows, logs and stores it: readable, without its constants."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import zip_longest

from dbopt.sql.lexer import BLANKS, LITERALS, WHITESPACE, Lexeme, Token, tokens

_LIST = re.compile(r"(?<![\w$\x80-\U0010ffff])(in|IN|In) ?\((\$[0-9]+)(?:, ?\$[0-9]+)+\)")


LONGEST_SHOWN = 100_000
"""Characters of a statement that are read for showing it."""


def redact(text: str, limit: int = LONGEST_SHOWN, *, conforming: bool | None = None) -> str:
    """The text on one line, its constants replaced by `$n`, its comments dropped.

    As in pg_stat_statements the numbers go on from the highest parameter that the text has, and
    a list of constants shows its first only; so the result can mostly still be parsed and
    explained. `normalize(redact(text)) == normalize(text)`, unless the text is longer than `limit`
    characters: then it is cut there, and the result says so. Never raises.

    `conforming` is the server's standard_conforming_strings. None, where it is not known, hides
    all that follows a string which the two readings end in different places, and says so: what
    is code to the one may be part of a constant to the other.
    """
    if len(text) > limit:
        return redact(text[:limit], limit, conforming=conforming) + " /* cut */"
    if conforming is None and (shared := _shared(text)) is not None:
        return _redacted(shared) + " /* hidden: ambiguous quotes */"
    return _redacted(tokens(text, conforming=conforming is not False))


def _shared(text: str) -> list[Token] | None:
    """Of a text that reads in two ways, the tokens up to and with the first that is told apart."""
    if "\\'" not in text:
        return None
    shared: list[Token] = []
    for one, other in zip_longest(tokens(text), tokens(text, conforming=None)):
        if one != other:
            return [*shared, Token(Lexeme.STRING, "''", len(text))]
        shared.append(one)
    return None


def _redacted(found: Iterable[Token]) -> str:
    parts: list[str] = []
    every = list(found)
    number = max((_number(text) for lexeme, text, _ in every if lexeme is Lexeme.PARAM), default=0)
    before, blank = " ", True
    for token in every:
        lexeme, shown, _ = token
        if lexeme in BLANKS:
            if not blank:
                parts.append(" ")
            blank = True
            continue
        if _is_constant(token):
            number += 1
            shown = f"${number}"
        if not blank and _would_join(before, shown):
            parts.append(" ")
        parts.append(shown)
        before, blank = shown, False
    return _LIST.sub(r"\1 (\2 /*, ... */)", "".join(parts).strip(WHITESPACE))


def _number(parameter: str) -> int:
    """The number of a parameter, within what the server takes."""
    return int(parameter[1:6])


def _is_constant(token: Token) -> bool:
    if token.lexeme in LITERALS:
        return True
    # An unterminated name holds the rest of the text, literals among it.
    return token.lexeme is Lexeme.NAME and token.text.count('"') % 2 == 1


def _would_join(before: str, after: str) -> bool:
    """Whether two tokens written together would be read as another: `interval'1 day'`."""
    either = before[0] == "$" or after[0] == "$"
    return either and _wordlike(before[-1]) and _wordlike(after[0])


def _wordlike(char: str) -> bool:
    return char.isalnum() or char in "_$" or not char.isascii()
