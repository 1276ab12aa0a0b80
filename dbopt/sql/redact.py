"""A statement's text as dbopt shows, logs and stores it: readable, without its constants."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbopt.sql.lexer import BLANKS, LITERALS, WHITESPACE, Lexeme, Token, tokens

_PARAM = re.compile(r"\$[0-9]{1,5}(?![0-9])").findall
_LIST = re.compile(r"(?<![\w$\x80-\U0010ffff])(in|IN|In) ?\((\$[0-9]+)(?:, ?\$[0-9]+)+\)")


LONGEST_SHOWN = 100_000
"""Characters of a statement that are read for showing it."""


def redact(text: str, limit: int = LONGEST_SHOWN) -> str:
    """The text on one line, its constants replaced by `$n`, its comments dropped.

    As in pg_stat_statements the numbers go on from the highest parameter that the text has, and
    a list of constants shows its first only; so the result can mostly still be parsed and
    explained. `normalize(redact(text)) == normalize(text)`, unless the text is longer than `limit`
    characters: then it is cut there, and the result says so. Never raises.
    """
    if len(text) > limit:
        return redact(text[:limit], limit) + " /* cut */"
    parts: list[str] = []
    number = max((int(found[1:]) for found in _PARAM(text)), default=0)
    for token in _visible(text):
        shown = token.text
        if _is_constant(token):
            number += 1
            shown = f"${number}"
        if parts and _would_join(parts[-1], shown):
            parts.append(" ")
        parts.append(shown)
    return _LIST.sub(r"\1 (\2 /*, ... */)", "".join(parts).strip(WHITESPACE))


def _visible(text: str) -> Iterator[Token]:
    """The tokens, each run of whitespace and comments as one space."""
    blank = False
    for token in tokens(text):
        if token.lexeme in BLANKS:
            blank = True
            continue
        if blank:
            yield Token(Lexeme.SPACE, " ", token.start)
        blank = False
        yield token


def _is_constant(token: Token) -> bool:
    if token.lexeme in LITERALS:
        return True
    # An unterminated name holds the rest of the text, literals among it.
    return token.lexeme is Lexeme.NAME and token.text.count('"') % 2 == 1


def _would_join(before: str, after: str) -> bool:
    """Whether two tokens written together would be read as another: `interval'1 day'`."""
    return _wordlike(before[-1]) and _wordlike(after[0]) and "$" in (before[0], after[0])


def _wordlike(char: str) -> bool:
    return char.isalnum() or char in "_$" or not char.isascii()
