"""A statement's tokens as sqlglot reads them rightly, where its lexer is not PostgreSQL's.

sqlglot takes `$1,$2` for a dollar quote, knows neither U&"name" nor all of E'...', and takes some
letters beyond ASCII for blanks. A text that two lexers cut in two ways could be classed by what
it is not; so sqlglot is given single tokens, with one space between them and no comments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dbopt.sql.lexer import Lexeme, Token

_GAP = r"'[ \t\f\v]*+[\n\r][ \t\n\r\f\v]*+'"
_in_quoted = re.compile(rf"''|{_GAP}")
_in_escaped = re.compile(rf"''|{_GAP}|\\(.)", re.DOTALL)
# A constant may follow these and `{"a": 1}` of JSON_OBJECT may have one for a key. In a redacted
# text it is a parameter, for which sqlglot has no grammar there; as a string it is read alike.
_TYPES = frozenset(
    """bigint bit bool boolean box bytea char character cidr circle date decimal float float4 float8
    inet int int2 int4 int8 integer interval json jsonb line lseg macaddr money numeric path point
    polygon precision real smallint text time timestamp timestamptz timetz uuid varbit varchar
    varying xml zone""".split()  # noqa: SIM905 - shorter than a list
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def respelled(tokens: Iterable[Token]) -> str | None:
    """The tokens' text for sqlglot; None where it would cut a word in two."""
    parts = spellings(tokens)
    return None if parts is None else " ".join(parts)


def spellings(tokens: Iterable[Token]) -> list[str] | None:
    """Each token's text for sqlglot; they are parsed with one space between them."""
    parts: list[str] = []
    before = second = ""
    for token in tokens:
        if token.lexeme is Lexeme.STRING:
            parts.append(_string(token.text))
        elif token.lexeme is Lexeme.PARAM and before in _TYPES:
            parts.append(_quoted(token.text))
        elif token.text == ":" and second in {"(", ","} and parts[-1][0] == "$":
            parts[-1] = _quoted(parts[-1])
            parts.append(":")
        elif token.lexeme is Lexeme.NAME:
            parts.append(token.text[token.text.index('"') :])
        elif token.text.isascii() or not any(map(str.isspace, token.text)):
            parts.append(token.text)
        else:
            return None
        before, second = token.text.lower(), before
    return parts


def _string(text: str) -> str:
    """A string constant as '...' (B, X and N before it stay); `text` is one token."""
    if text[0] == "$":
        tag = text[: text.index("$", 1) + 1]
        return _quoted(text[len(tag) :].removesuffix(tag))
    start = text.index("'")
    prefix, body = text[:start], text[start + 1 :].removesuffix("'")
    if prefix in {"e", "E"}:
        return _quoted(_in_escaped.sub(_unescaped, body))
    if prefix in {"u&", "U&"}:
        prefix = ""
    return prefix + _quoted(_in_quoted.sub(_unescaped, body))


def _quoted(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _unescaped(match: re.Match[str]) -> str:
    found = match.group()
    if found == "''":
        return "'"
    return _ESCAPES.get(found[1], found[1]) if found[0] == "\\" else ""
