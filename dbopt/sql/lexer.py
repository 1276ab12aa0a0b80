"""PostgreSQL's lexical rules as two compiled regular expressions, without sqlglot.

Source: PostgreSQL 18 documentation, 4.1 Lexical Structure, and src/backend/parser/scan.l.
Text is read with standard_conforming_strings on, which is the server's default. Nothing here
raises on any text: an unterminated string, identifier or comment runs to the end.

Every loop is possessive or bounded, so that hostile text costs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NamedTuple

# All but the rest of ASCII: so said, a class is one table of 128 bits for `re`.
_WORD_START = r"^\x00-@\[-\^`{-\x7f"
_WORD = r"^\x00-#%-/:-@\[-\^`{-\x7f"
_TAG = r"^\x00-/:-@\[-\^`{-\x7f"
_SPACE = r" \t\n\r\f\v"
_ANY_OP = r"~!@#%^&|`?*/<>=+\-"
_PLAIN_OP = r"*/<>=+\-"
_NO_COMMENT = r"(?!--|/\*)"

# scan.l joins string constants that only whitespace with a line break parts.
# Possessive repeats keep these linear, but of single characters alone: CPython 3.11.2 (Debian 12)
# misreads a possessive group. The groups leave no choice, so they need none.
_QUOTED_BODY = r"[^']*+(?:''[^']*+)*(?:'|\Z)"
_ESCAPED_BODY = r"[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*(?:'|\\?\Z)"
_NEXT_PART = r"[ \t\f\v]*+[\n\r][" + _SPACE + r"]*+'"
_STRING = (
    rf"(?:[bBxXnN]|[uU]&)?'{_QUOTED_BODY}(?:{_NEXT_PART}{_QUOTED_BODY})*"
    rf"|[eE]'{_ESCAPED_BODY}(?:{_NEXT_PART}{_ESCAPED_BODY})*"
)
_QUOTED_NAME = r'(?:[uU]&)?"[^"]*+(?:""[^"]*+)*(?:"|\Z)'
_NUMBER = (
    r"0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+"
    r"|(?:[0-9][0-9_]*+(?:\.(?!\.)[0-9_]*+)?|\.[0-9][0-9_]*+)(?:[eE][+-]?[0-9][0-9_]*+)?"
)
# An operator may end in + or - only when it also holds one of ~!@#%^&|`? (4.1.3). The bound of 3
# characters before that one is what keeps a long run of signs linear; no operator has more.
_OPERATOR = (
    # Says nothing new, only sooner: no operator starts at a sign that three more signs follow.
    r"[-+](?=[-+]{3})"
    rf"|(?:{_NO_COMMENT}[{_PLAIN_OP}]){{0,3}}[~!@#%^&|`?](?:{_NO_COMMENT}[{_ANY_OP}])*"
    rf"|(?:{_NO_COMMENT}[{_PLAIN_OP}]){{0,3}}(?:[*<>=]|/(?!\*))"
    r"|[-+]"
)
_LINE_COMMENT = r"--[^\n\r]*+"
_FLAT_COMMENT = r"/\*[^*]*+(?:\*(?!/)[^*]*+)*(?:\*/|\Z)"
_DOLLAR_TAG = rf"\$(?:[{_WORD_START}][{_TAG}]*+)?\$"

# The order is for speed: the frequent first, and those that begin with a set of characters before
# those that begin otherwise, since `re` passes over the former without trying them. A word of two
# characters is no prefix of a string.
_TOKEN = "|".join(
    [
        rf"[{_WORD_START}][{_WORD}]++",
        r"[(),;\[\]]",
        r"\.(?![0-9.])",
        rf"[{_PLAIN_OP}](?![{_ANY_OP}])",
        r"\$[0-9]++",
        rf"'{_QUOTED_BODY}(?:{_NEXT_PART}{_QUOTED_BODY})*",
        r'"[^"]*+(?:""[^"]*+)*(?:"|\Z)',
        r"[0-9]++(?![0-9_.A-Za-z])",
        r"[\x00-\x08\x0e-\x1f\x7f\\{}]",
        r"\+(?=[-+]{3})|-(?=\+[-+]{2})",
        rf"(?![eEbBxXnN]'|[uU]&['\"])[{_WORD_START}]",
        _STRING,
        _NUMBER,
        _LINE_COMMENT,
        _FLAT_COMMENT,
        _OPERATOR,
        _QUOTED_NAME,
        r"::|:=|\.\.",
        ".",
    ]
)
# With dollar quotes, and with only the opening of a block comment, since those may nest.
_FULL = "|".join(
    [
        rf"(?P<word>(?![eEbBxXnN]'|[uU]&['\"])[{_WORD_START}][{_WORD}]*+)",
        rf"(?P<space>[{_SPACE}]++)",
        r"(?P<punct>[(),;\[\]]|::|:=|\.\.)",
        rf"(?P<string>{_STRING}|(?P<tag>{_DOLLAR_TAG})(?:(?s:.*?)(?P=tag)|(?s:.*)))",
        r"(?P<param>\$[0-9]++)",
        rf"(?P<number>{_NUMBER})",
        rf"(?P<line>{_LINE_COMMENT})",
        r"(?P<block>/\*)",
        rf"(?P<operator>{_OPERATOR})",
        rf"(?P<name>{_QUOTED_NAME})",
        r"(?P<other>.)",
    ]
)

WHITESPACE = " \t\n\r\f\v"

flat_tokens: Callable[[str], list[str]] = re.compile(rf"[{_SPACE}]*+({_TOKEN})", re.DOTALL).findall
"""All tokens of a text that ends in no whitespace and that `is_flat`, comments among them."""

_full_match = re.compile(_FULL, re.DOTALL).match
_full_iterator = re.compile(_FULL, re.DOTALL).finditer
_dollar_quote = re.compile(_DOLLAR_TAG).search
_comment_edge = re.compile(r"/\*|\*/").finditer


class Lexeme(IntEnum):
    """What a token is."""

    WORD = 1
    SPACE = 2
    PUNCT = 3
    STRING = 4
    PARAM = 5
    NUMBER = 6
    COMMENT = 7
    OPERATOR = 8
    NAME = 9
    OTHER = 10


LITERALS = frozenset({Lexeme.STRING, Lexeme.NUMBER})
BLANKS = frozenset({Lexeme.SPACE, Lexeme.COMMENT})

_LEXEMES = {
    "word": Lexeme.WORD,
    "space": Lexeme.SPACE,
    "punct": Lexeme.PUNCT,
    "string": Lexeme.STRING,
    "param": Lexeme.PARAM,
    "number": Lexeme.NUMBER,
    "line": Lexeme.COMMENT,
    "block": Lexeme.COMMENT,
    "operator": Lexeme.OPERATOR,
    "name": Lexeme.NAME,
    "other": Lexeme.OTHER,
}


class Token(NamedTuple):
    """One token: what it is, its text as written, and its offset in characters."""

    lexeme: Lexeme
    text: str
    start: int


def is_flat(text: str) -> bool:
    """Whether `flat_tokens` reads this text rightly: no dollar quote, no nested comment."""
    if "$" in text and _dollar_quote(text) is not None:
        return False
    return text.count("/*") < 2


def tokens(text: str, at: int = 0) -> Iterator[Token]:
    """Every token of any text from an offset on, whitespace and comments included.

    Their texts join to the text. The offset must be a token's.
    """
    end = len(text)
    while at < end:
        match = _full_match(text, at)
        assert match is not None, "the last alternative takes any character"  # noqa: S101
        group = match.lastgroup or "other"
        stop = _comment_end(text, at) if group == "block" else match.end()
        yield Token(_LEXEMES[group], text[at:stop], at)
        at = stop


def texts(text: str) -> Iterator[str]:
    """What `flat_tokens` gives, of any text: the tokens' texts, comments among them."""
    at = 0
    while at < len(text):
        # A block comment may nest, so the expression stops at its opening.
        for match in _full_iterator(text, at):
            group = match.lastgroup
            if group == "block":
                at = _comment_end(text, match.start())
                yield text[match.start() : at]
                break
            if group != "space":
                yield match.group()
        else:
            return


def code(text: str) -> list[Token]:
    """The tokens of a text without whitespace and comments."""
    return [token for token in tokens(text) if token.lexeme not in BLANKS]


def _comment_end(text: str, start: int) -> int:
    depth = 0
    for edge in _comment_edge(text, start):
        depth += 1 if edge.group() == "/*" else -1
        if depth == 0:
            return edge.end()
    return len(text)


_UPPER_TO_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def fold_case(word: str) -> str:
    """An unquoted identifier as the server folds it: ASCII letters only (UTF-8 databases)."""
    return word.lower() if word.isascii() else word.translate(_UPPER_TO_LOWER)


def unquote(name: str) -> str:
    """The identifier that a word or a quoted name stands for (U& escapes are left as written)."""
    if '"' not in name:
        return fold_case(name)
    body = name[name.index('"') + 1 :].removesuffix('"')
    return body.replace('""', '"')
