"""Reading one statement's tokens, only as far as they are asked for.

Text here is a client's bytes decoded as latin-1, so that offsets are those of the bytes and all
above ASCII belongs to identifiers. Source: PostgreSQL 18 documentation, 4.1.1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dbopt.sql.lexer import BLANKS, Lexeme, Token, fold_case, tokens, unquote

_MAX_BYTES = 63
"""NAMEDATALEN - 1: the server cuts longer identifiers."""
_uescape = re.compile(r"[ \t\n\r\f\v]*+[uU][eE][sS][cC][aA][pP][eE][ \t\n\r\f\v]*+'([^'])'").match
_plain_string = re.compile(r"[eEnN]?'([^'\\]*)'", re.DOTALL).fullmatch
_dollar_string = re.compile(r"(\$[^$]*\$)(.*)\1", re.DOTALL).fullmatch


class Identifier(NamedTuple):
    """A name as the server folds it, and where it stands as written."""

    name: str
    start: int
    end: int


class StatementReader:
    """The tokens of `text[start:end]` without blanks, by index."""

    __slots__ = ("_more", "_seen", "_text")

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._more = code_between(text, start, end)
        self._seen: list[Token] = []

    def token(self, index: int) -> Token | None:
        """The token, or None behind the last."""
        while len(self._seen) <= index:
            token = next(self._more, None)
            if token is None:
                return None
            self._seen.append(token)
        return self._seen[index]

    def word(self, index: int) -> str:
        """A keyword in lower case, or a sign; "" for quoted names, literals and nothing."""
        token = self.token(index)
        if token is None or token.lexeme in {Lexeme.NAME, Lexeme.STRING}:
            return ""
        return fold_case(token.text)

    def words(self, index: int, *expected: str) -> bool:
        """Whether these keywords stand at the index."""
        return all(self.word(index + n) == word for n, word in enumerate(expected))

    def is_string(self, index: int) -> bool:
        """Whether a string constant stands at the index."""
        token = self.token(index)
        return token is not None and token.lexeme is Lexeme.STRING

    def identifier(self, index: int) -> Identifier | None:
        """The identifier at the index, None if it is something else."""
        token = self.token(index)
        if token is None or token.lexeme not in {Lexeme.WORD, Lexeme.NAME}:
            return None
        name, end = unquote(token.text), token.start + len(token.text)
        if token.text[0] in "uU" and token.lexeme is Lexeme.NAME:
            name, end = name_at(self._text, token.start, token.text)
        return Identifier(_clipped(name), token.start, end)


def string_value(token: Token) -> str | None:
    """What a string constant without escapes says; None for any other token."""
    if found := _plain_string(token.text):
        return found[1]
    if token.lexeme is Lexeme.STRING and (found := _dollar_string(token.text)):
        return found[2]
    return None


def name_at(text: str, start: int, written: str) -> tuple[str, int]:
    r"""The name of a U&"…" with its escapes written out in UTF-8, and its end.

    The end is that of UESCAPE and its character, if they follow.
    """
    end = start + len(written)
    found = _uescape(text, end)
    escape = "\\" if found is None else found[1]
    return _unescaped(unquote(written), escape), end if found is None else found.end()


def code_between(text: str, start: int, end: int) -> Iterator[Token]:
    """The tokens that begin between two offsets, without blanks."""
    for token in tokens(text, start):
        if token.start >= end:
            return
        if token.lexeme not in BLANKS:
            yield token


def _clipped(name: str) -> str:
    """The first 63 bytes, and no part of a UTF-8 character."""
    if len(name) <= _MAX_BYTES:
        return name
    end = _MAX_BYTES
    while end and "\x80" <= name[end] < "\xc0":
        end -= 1
    return name[:end]


def _unescaped(name: str, escape: str) -> str:
    if escape not in name:
        return name
    mark = re.escape(escape)
    pattern = rf"{mark}(?:{mark}|([0-9a-fA-F]{{4}})|\+([0-9a-fA-F]{{6}}))"
    return re.sub(pattern, lambda found: _character(found, escape), name)


def _character(found: re.Match[str], escape: str) -> str:
    code = int(found[1] or found[2] or "0", 16)
    if not 0 < code < 0x110000:
        return escape if code == 0 else found[0]
    return chr(code).encode("utf-8", "surrogatepass").decode("latin-1")
