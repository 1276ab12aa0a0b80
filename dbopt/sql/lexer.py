"""PostgreSQL's lexical rules as two compiled regular expressions, without sqlglot.

Source: PostgreSQL 18 documentation, 4.1 Lexical Structure, and src/backend/parser/scan.l.
Text is read with standard_conforming_strings on, which is the server's default, or, where asked,
with it off: a backslash in '...' then escapes. Nothing here raises on any text: an unterminated
string, identifier or comment runs to the end.

Every loop is possessive or bounded, so that hostile text costs linear time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import IntEnum
from functools import cache
from typing import NamedTuple

# All but the rest of ASCII: so said, a class is one table of 128 bits for `re`.
_WORD_START = r"^\x00-@\[-\^`{-\x7f"
_WORD = r"^\x00-#%-/:-@\[-\^`{-\x7f"
_IN_WORD = r"[\w$\x80-\U0010ffff]"
_TAG = r"^\x00-/:-@\[-\^`{-\x7f"
_SPACE = r" \t\n\r\f\v"
_ANY_OP = r"~!@#%^&|`?*/<>=+\-"
_PLAIN_OP = r"*/<>=+\-"
_NO_COMMENT = r"(?!--|/\*)"

# scan.l joins string constants that only whitespace with a line break parts, `--` comments too.
# Possessive repeats keep these linear, but of single characters alone: CPython 3.11.2 (Debian 12)
# misreads a possessive group. The groups leave no choice, so they need none.
_QUOTED_BODY = r"[^']*+(?:''[^']*+)*(?:'|\Z)"
_ESCAPED_BODY = r"[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*(?:'|\\?\Z)"
_NEXT_PART = (
    r"[ \t\f\v]*+(?:--[^\n\r]*+)?[\n\r]"
    rf"(?:[{_SPACE}]*+--[^\n\r]*+[\n\r])*[{_SPACE}]*+'"
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


_WORD_ESCAPE = "[eE][sS][cC][aA][pP][eE]"
# In `escape '\'`, a server that takes the backslash for an escape would find a longer string there,
# which it refuses. A look-behind has one width.
_MARK = "|".join(
    rf"(?<!{_IN_WORD}{_WORD_ESCAPE}{blank})(?<={_WORD_ESCAPE}{blank})'\\'(?!')"
    for blank in ("", f"[{_SPACE}]")
)


def _plain(conforming: bool | None) -> str:
    """A string without a prefix, up to the last of the parts that scan.l joins."""
    body = _QUOTED_BODY if conforming else _ESCAPED_BODY
    string = rf"'{body}(?:{_NEXT_PART}{body})*"
    return string if conforming is not None else f"{_MARK}|{string}"


def _strings(conforming: bool | None) -> str:
    # An N'...' is read as '...' is; B, X and U& know no backslash, nor does a part that follows.
    plain, quoted, escaped = _plain(conforming), _plain(True), _plain(False)
    return rf"{plain}|[nN](?:{plain})|(?:[bBxX]|[uU]&){quoted}|[eE]{escaped}"


def _token_pattern(conforming: bool | None) -> str:
    """A token of a text without dollar quotes and nested comments.

    The order is for speed: the frequent first, and those that begin with a set of characters
    before those that begin otherwise, since `re` passes over the former without trying them. A
    word of two characters is no prefix of a string.
    """
    return "|".join(
        [
            rf"[{_WORD_START}][{_WORD}]++",
            r"[(),;\[\]]",
            r"\.(?![0-9.])",
            rf"[{_PLAIN_OP}](?![{_ANY_OP}])",
            r"\$[0-9]++",
            _plain(conforming),
            r'"[^"]*+(?:""[^"]*+)*(?:"|\Z)',
            r"[0-9]++(?![0-9_.A-Za-z])",
            r"[\x00-\x08\x0e-\x1f\x7f\\{}]",
            r"\+(?=[-+]{3})|-(?=\+[-+]{2})",
            rf"(?![eEbBxXnN]'|[uU]&['\"])[{_WORD_START}]",
            _strings(conforming),
            r"::|:=|\.\.",
            _NUMBER,
            _LINE_COMMENT,
            _FLAT_COMMENT,
            _OPERATOR,
            _QUOTED_NAME,
            ".",
        ]
    )


_BLOCK_GROUP = 11


def _full_pattern(conforming: bool | None) -> str:
    """A token or whitespace of any text; of a block comment, which may nest, only its opening.

    One group for each lexeme of `_GROUPS`, in that order; what is frequent comes first.
    """
    return "|".join(
        [
            rf"((?![eEbBxXnN]'|[uU]&['\"])[{_WORD_START}][{_WORD}]*+)",
            rf"([{_SPACE}]++)",
            r"([(),;\[\]]|\.(?![0-9.]))",
            r'("[^"]*+(?:""[^"]*+)*(?:"|\Z))',
            rf"([{_PLAIN_OP}](?![{_ANY_OP}]))",
            r"([0-9]++(?![0-9_.A-Za-z]))",
            rf"({_strings(conforming)}|({_DOLLAR_TAG})(?:(?s:.*?)\8|(?s:.*)))",
            r"(\$[0-9]++)",
            rf"({_LINE_COMMENT})",
            r"(/\*)",
            rf"({_NUMBER})",
            r"(::|:=|\.\.)",
            rf"({_OPERATOR})",
            rf"({_QUOTED_NAME})",
            r"(.)",
        ]
    )


WHITESPACE = " \t\n\r\f\v"

_Find = Callable[[str], list[str]]
_FindPairs = Callable[[str], list[tuple[str, str]]]


def _finder(conforming: bool | None) -> _Find:
    return re.compile(rf"[{_SPACE}]*+({_token_pattern(conforming)})", re.DOTALL).findall


@cache
def _dollar_finder(conforming: bool | None) -> _FindPairs:
    quoted = rf"({_DOLLAR_TAG}).*?(?:\2|\Z)"
    pattern = rf"[{_SPACE}]*+({quoted}|{_token_pattern(conforming)})"
    return re.compile(pattern, re.DOTALL).findall


@cache
def _full(conforming: bool | None) -> re.Pattern[str]:
    return re.compile(_full_pattern(conforming), re.DOTALL)


flat_tokens: _Find = _finder(conforming=True)
"""All tokens of a text that ends in no whitespace and that `is_flat`, comments among them."""
_escaped_finder = cache(_finder)

_dollar_quote = re.compile(_DOLLAR_TAG).search
# The opening of a comment within another. It may lie in a string, which costs time alone.
_nested_comment = re.compile(r"/\*(?:[^*/]|\*(?!/)|/(?!\*))*/\*").search
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

_GROUPS = (
    Lexeme.OTHER,
    Lexeme.WORD,
    Lexeme.SPACE,
    Lexeme.PUNCT,
    Lexeme.NAME,
    Lexeme.OPERATOR,
    Lexeme.NUMBER,
    Lexeme.STRING,
    Lexeme.STRING,
    Lexeme.PARAM,
    Lexeme.COMMENT,
    Lexeme.COMMENT,
    Lexeme.NUMBER,
    Lexeme.PUNCT,
    Lexeme.OPERATOR,
    Lexeme.NAME,
    Lexeme.OTHER,
)
"""What each group of `_full_pattern` finds, from the first on; there is no group 0."""


class Token(NamedTuple):
    """One token: what it is, its text as written, and its offset in characters."""

    lexeme: Lexeme
    text: str
    start: int


def is_flat(text: str) -> bool:
    """Whether `flat_tokens` reads this text rightly: no dollar quote, no nested comment."""
    if "$" in text and _dollar_quote(text) is not None:
        return False
    return not _may_nest(text)


def _may_nest(text: str) -> bool:
    return text.count("/*") > 1 and _nested_comment(text) is not None


def tokens(text: str, at: int = 0, *, conforming: bool | None = True) -> Iterator[Token]:
    """Every token of any text from an offset on, whitespace and comments included.

    Their texts join to the text. The offset must be a token's. `conforming` is the server's
    standard_conforming_strings; None is as False, but that `escape '\\'` ends where it seems to.
    """
    end, matches = len(text), _full(conforming).finditer
    while at < end:
        # A block comment may nest, so the expression stops at its opening.
        for match in matches(text, at):
            group = match.lastindex or 0
            at = match.start()
            if group == _BLOCK_GROUP:
                stop = _comment_end(text, at)
                yield Token(Lexeme.COMMENT, text[at:stop], at)
                at = stop
                break
            yield Token(_GROUPS[group], match[0], at)
        else:
            return


def texts(text: str, *, conforming: bool | None = True) -> list[str]:
    """The texts of a text's tokens, comments among them and whitespace not.

    The text must not end in whitespace.
    """
    if _may_nest(text):
        return list(_nested_texts(text, conforming))
    if "$" in text and _dollar_quote(text) is not None:
        return [token for token, _ in _dollar_finder(conforming)(text)]
    return flat_tokens(text) if conforming else _escaped_finder(conforming)(text)


def _nested_texts(text: str, conforming: bool | None) -> Iterator[str]:
    at, matches = 0, _full(conforming).finditer
    while at < len(text):
        for match in matches(text, at):
            group = match.lastindex
            if group == _BLOCK_GROUP:
                at = _comment_end(text, match.start())
                yield text[match.start() : at]
                break
            if group != Lexeme.SPACE:
                yield match[0]
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
