"""Where a statement goes wrong, for a person: an offset, a reason, and the line with a caret. PURE.

Without a server it is our parser's opinion, which lacks some of PostgreSQL's forms; with one,
dbopt.pg.mistake asks the server.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection
from dataclasses import dataclass
from itertools import accumulate

from dbopt.sql.kinds import first_kind
from dbopt.sql.lexer import LITERALS, Lexeme, Token, tokens
from dbopt.sql.parse import Statement, complaint
from dbopt.sql.respell import spellings
from dbopt.sql.split import position

WIDEST = 76
"""Characters of a line that are shown around a place: they fit the narrowest terminal."""
_MISSING = ("Required keyword", "Expected")


@dataclass(frozen=True, slots=True)
class Mistake:
    """An offset in characters of the text that the statement was split from, and what is wrong.

    `certain`: PostgreSQL would refuse it too. The reason holds no constant.
    """

    offset: int
    reason: str
    certain: bool = False


def find_mistake(statement: Statement) -> Mistake | None:
    """The first thing that cannot be read; None where all can, or nobody can say. Never raises."""
    first, last = statement.tokens[0], statement.tokens[-1]
    if _is_open(last):
        return Mistake(last.start, _OPEN[last.lexeme], certain=True)
    if first_kind(statement.words) is None:
        return Mistake(first.start, "no command of PostgreSQL starts like this", certain=True)
    found = complaint(statement)
    parts = spellings(statement.tokens)
    if found is None or parts is None:
        return None
    offset, words = found
    starts = [0, *accumulate(len(part) + 1 for part in parts[:-1])]
    at = max(0, bisect_right(starts, offset) - 1)
    return Mistake(statement.tokens[at].start, _reason(words, statement.tokens[at]))


_OPEN = {
    Lexeme.STRING: "this string does not end",
    Lexeme.NAME: "this quoted name does not end",
}


def _is_open(token: Token) -> bool:
    """Whether a string or a quoted name runs to the end of the text without its closing quote."""
    text = token.text
    if token.lexeme is Lexeme.NAME:
        return text.count('"') % 2 == 1
    if token.lexeme is not Lexeme.STRING:
        return False
    if text[0] == "$":
        tag = text[: text.index("$", 1) + 1]
        return len(text) < 2 * len(tag) or not text.endswith(tag)
    if text[0] in "eE":
        text = text.replace("\\\\", "").replace("\\'", "")
    return text.count("'") % 2 == 1


def _reason(words: str, token: Token) -> str:
    """sqlglot's words as a person's, without what they quote."""
    if words.startswith("Expecting ") and len(words) < 20:
        return f"{words.removeprefix('Expecting ')} is missing here"
    shown = token.text if token.lexeme is Lexeme.WORD else "this"
    if words.startswith(_MISSING):
        return (
            f"something is missing at {shown}" if shown != "this" else "something is missing here"
        )
    return f"{shown} is not expected here"


def excerpt(
    text: str,
    start: int,
    end: int | None = None,
    *,
    hide: bool = True,
    base: int = 0,
    width: int = WIDEST,
) -> tuple[str, str]:
    """The line of an offset, and the line with carets that goes below it.

    The carets go up to `end`, or to the end of the token, or of the line. Of a long line the part
    around them is shown, `width` characters. With `hide` each constant is shown as as many
    `x`. `base` is the offset of a token at or before the line, from where on the text is read.
    """
    _, column = position(text, start)
    first = start - column + 1
    stop = text.find("\n", first)
    last = len(text) if stop < 0 else stop
    shown = _hidden(text, first, last, base) if hide else text[first:last]
    shown = "".join(char if char.isprintable() else " " for char in shown)
    until = _token_end(text, start, last) if end is None else min(end, last)
    left = max(0, min(column - 1 - width // 3, len(shown) - width))
    marks = max(1, min(until - start, left + width - (column - 1)))
    return shown[left : left + width], " " * (column - 1 - left) + "^" * marks


def _token_end(text: str, start: int, last: int) -> int:
    token = next(tokens(text[:last], start), None)
    return start + len(token.text.rstrip()) if token else start


def _hidden(text: str, first: int, last: int, base: int) -> str:
    """A line with its constants blotted out; a string may have begun above it."""
    shown = list(text[first:last])
    for token in tokens(text, base):
        end = token.start + len(token.text)
        if token.start >= last:
            break
        if end > first and (token.lexeme in LITERALS or _is_open(token)):
            at = range(max(first, token.start), min(last, end))
            shown[at.start - first : at.stop - first] = [_blot(text[here]) for here in at]
    return "".join(shown)


def _blot(char: str) -> str:
    return char if char == "'" else "x"


def hidden(words: str, statement: Statement) -> str:
    """Words without the statement's constants, where they quote any: for a text that is shown."""
    for value in _constants(statement):
        words = words.replace(value, "…")
    return words


def without_constants(text: str, statement: Statement) -> str:
    """SQL without the constants that the statement has, for a text that is shown beside it.

    What is one character long stays: it tells nothing, and `SELECT 1` is more than that.
    """
    values = _constants(statement)
    shown = (
        _ellipsis(token, values) if token.lexeme in LITERALS else token.text
        for token in tokens(text)
    )
    return "".join(shown)


def _ellipsis(token: Token, values: Collection[str]) -> str:
    value = _value(token)
    return token.text.replace(value, "…") if value in values else token.text


def _constants(statement: Statement) -> dict[str, None]:
    """The values of the constants that tell something, the longest first."""
    values = (_value(token) for token in statement.tokens if token.lexeme in LITERALS)
    return dict.fromkeys(sorted({one for one in values if len(one) > 1}, key=len, reverse=True))


def _value(token: Token) -> str:
    """A constant without its quotes; they and their prefix are the same on both sides."""
    text = token.text
    if text[0] == "$":
        tag = text[: text.index("$", 1) + 1]
        return text.removeprefix(tag).removesuffix(tag)
    return text[text.index("'") :].strip("'") if "'" in text else text
