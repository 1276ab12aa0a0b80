"""The outline of a text: where its statements begin and end, and where marked words stand.

It runs in the gateway on texts of any length, so one regular expression passes over strings,
comments and quoted names, and Python looks at words and semicolons alone.
Source: src/backend/parser/scan.l and, for bodies in BEGIN ATOMIC, src/fe_utils/psqlscan.l.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dbopt.sql.lexer import WHITESPACE, tokens
from dbopt.sql.reader import StatementReader

TEMP_SCHEMA = "pg_temp"
MOST_MARKS = 64
"""Of one word in one statement. Whoever finds as many must take what it looks for as present."""

_START = r"A-Za-z_\x80-\xff"
_WORD = r"A-Za-z0-9_$\x80-\xff"
_TAG = rf"\$(?:[{_START}][A-Za-z0-9_\x80-\xff]*+)?\$"
# Two adjacent strings and one with a doubled quote are the same to us; an E'' string is not, since
# a part on the next line reads backslashes too.
_ESCAPED = r"[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*(?:'|\\?\Z)"
_NEXT_PART = r"[ \t\f\v]*+[\n\r][ \t\n\r\f\v]*+'"
_PIECE = "|".join(
    [
        rf"[eE]'{_ESCAPED}(?:{_NEXT_PART}{_ESCAPED})*",
        r"(?P<name>(?:[uU]&)?\"[^\"]*+(?:\"\"[^\"]*+)*\"?)",
        rf"(?P<word>[{_START}][{_WORD}]*+)",
        r"'[^']*+'?",
        r"--[^\n\r]*+",
        r"(?P<block>/\*)",
        rf"(?P<tag>{_TAG})(?:(?s:.*?)(?P=tag)|(?s:.*))",
        r"(?P<sign>[;()])",
        r"[-/$]",
    ]
)
_pieces = re.compile(rf"[^{_START}'\"\-/$;()]*+(?:{_PIECE})", re.DOTALL).finditer
_between = re.compile(rf"[{WHITESPACE};]*+").match
_temp_schema = re.compile(r"pg_temp(?:_[0-9]+)?").fullmatch
_ROUTINES = frozenset({"function", "procedure"})
_SHAPING = _ROUTINES | {"atomic", "end", "(", ")", ";"}
_ROUTINE_WITHIN = 4
"""CREATE OR REPLACE FUNCTION: the kind is the fourth word at the latest."""


class Mark(NamedTuple):
    """A marked word outside of strings and comments, the one before it, and how deep in ( )."""

    word: str
    before: str
    end: int
    depth: int


class Span(NamedTuple):
    """One statement: its first token's offset, its end without the `;`, its marked words."""

    start: int
    end: int
    marks: list[Mark]


class Marked(NamedTuple):
    """What to mark: keywords, and names, which may stand in quotes too."""

    keywords: frozenset[str]
    names: frozenset[str]


def outline(text: str, marked: Marked) -> Iterator[Span]:
    """The statements of a text in order. Never raises; linear in the length of the text.

    A `;` in parentheses (CREATE RULE) or in a body of BEGIN ATOMIC ends nothing. Empty statements
    are left out. A temporary schema by its number is marked as pg_temp.
    """
    at = _first(text, 0)
    while at < len(text):
        span = _Statement(marked).read(text, at)
        yield span
        at = _first(text, span.end)


def _first(text: str, at: int) -> int:
    """Where the next statement's first token begins."""
    while found := _between(text, at):
        at = found.end()
        if not text.startswith(("--", "/*"), at):
            break
        at = _comment_end(text, at)
    return at


class _Statement:
    """One statement while it is read: how deep we are in parentheses, and what came before."""

    __slots__ = ("atomic", "before", "count", "counts", "depth", "marked", "marks", "routine")

    def __init__(self, marked: Marked) -> None:
        self.marked = marked
        self.marks: list[Mark] = []
        self.counts: dict[str, int] = {}
        self.depth = self.count = 0
        self.before = ""
        self.routine = self.atomic = False

    def read(self, text: str, at: int) -> Span:
        keywords = self.marked.keywords
        for word, start, end, quoted in _words(text, at):
            if quoted:
                self._name(word, end)
            elif word in keywords:
                self._mark(word, end)
            elif word == ";" and self.depth <= 0 and not self.atomic:
                return self._span(text, at, start)
            elif word in _SHAPING:
                self._shape(word)
            else:
                self._name(word, end)
            self.count += 1
            self.before = word
        return self._span(text, at, len(text))

    def _span(self, text: str, at: int, stop: int) -> Span:
        return Span(at, at + len(text[at:stop].rstrip(WHITESPACE)), self.marks)

    def _mark(self, word: str, end: int) -> None:
        count = self.counts.get(word, 0)
        if count < MOST_MARKS:
            self.counts[word] = count + 1
            self.marks.append(Mark(word, self.before, end, self.depth))

    def _name(self, word: str, end: int) -> None:
        if word in self.marked.names:
            self._mark(word, end)
        elif word[:7] == TEMP_SCHEMA and _temp_schema(word):
            self._mark(TEMP_SCHEMA, end)

    def _shape(self, word: str) -> None:
        """What tells whether a `;` ends the statement."""
        if word in _ROUTINES:
            self.routine |= self.count < _ROUTINE_WITHIN
        elif word == "atomic":
            self.atomic |= self.routine and self.depth == 0 and self.before == "begin"
        elif word == "end":
            # Of the body, and not of a CASE, which has no `;` within.
            self.atomic &= self.before not in {";", "atomic"}
        else:
            self.depth += {"(": 1, ")": -1}.get(word, 0)


def _words(text: str, at: int) -> Iterator[tuple[str, int, int, bool]]:
    """Words, names, `;` and parentheses: in lower case, their offsets, whether in quotes."""
    while at < len(text):
        # A block comment may nest, so the expression stops at its opening.
        for match in _pieces(text, at):
            group = match.lastgroup
            if group is None or group == "tag":
                continue
            start, end = match.span(group)
            if group == "block":
                at = _comment_end(text, start)
                break
            if group == "name":
                name = StatementReader(text, start, len(text)).identifier(0)
                yield ("", start, end, True) if name is None else (name[0], start, name[2], True)
            else:
                yield match[group].lower(), start, end, False
        else:
            return


def _comment_end(text: str, start: int) -> int:
    comment = next(tokens(text, start))
    return start + len(comment.text)
