"""The outline of a text: where its statements begin and end, and where marked words stand.

It runs in the gateway on texts of any length, so one regular expression passes over strings,
comments, quoted names and most words, and Python looks at what is marked and at semicolons alone.
Source: src/backend/parser/scan.l and, for bodies in BEGIN ATOMIC, src/fe_utils/psqlscan.l.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dbopt.sql.lexer import WHITESPACE, tokens
from dbopt.sql.reader import StatementReader, name_at

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
_FLAT_COMMENT = r"/\*[^*/]*+\*/"
_SHAPING = "begin|atomic|end"
_between = re.compile(rf"(?:[{WHITESPACE};]++|--[^\n\r]*+|{_FLAT_COMMENT}){{0,99}}").match
_head = re.compile(rf"[{_START}][{_WORD}]*+").match
_temp_schema = re.compile(r"pg_temp(?:_[0-9]+)?").fullmatch

_Finder = Callable[[str, int], Iterator[re.Match[str]]]


class Mark(NamedTuple):
    """Where a marked word outside of strings and comments stands, and how deep in ( )."""

    start: int
    end: int
    depth: int


class Span(NamedTuple):
    """One statement: its first token's offset, its end without the `;`, its first word, its marks.

    The word is in lower case, and "" where the statement begins with something else.
    """

    start: int
    end: int
    head: str
    marks: dict[str, list[Mark]]


class Outliner:
    """Reads outlines with words to mark.

    `names` may stand in quotes too. `keywords` are marked in each statement, `in_creates` in CREATE
    and EXPLAIN alone; these are expressions that match one lower-case word and may look ahead.
    """

    __slots__ = ("_deep", "_flat", "_names")

    def __init__(self, names: frozenset[str], keywords: str, in_creates: str) -> None:
        self._names = names
        words = "|".join([*sorted(names), r"pg_temp(?:_[0-9]+)?", keywords])
        self._flat = _pieces(words, ";")
        self._deep = _pieces(f"{words}|{in_creates}|{_SHAPING}", ";()")

    def outline(self, text: str) -> Iterator[Span]:
        """The statements of a text in order. Never raises; linear in the length of the text.

        A `;` in parentheses (CREATE RULE) or in a body of BEGIN ATOMIC ends nothing; depths are
        counted for CREATE and EXPLAIN alone. Empty statements are left out. A temporary schema by
        its number is marked as pg_temp.
        """
        at = _first(text, 0)
        while at < len(text):
            found = _head(text, at)
            head = "" if found is None else found[0].lower()
            marks, stop = self._statement(text, at, head)
            end = at + len(text[at:stop].rstrip(WHITESPACE))
            yield Span(at, end, head, marks)
            at = _first(text, stop)

    def _statement(self, text: str, at: int, head: str) -> tuple[dict[str, list[Mark]], int]:
        """The marks from here to the statement's end, and that end."""
        shape = _Shape(text, at) if head in {"create", "explain"} else None
        marks: dict[str, list[Mark]] = {}
        for word, start, end in self._words(text, at, self._flat if shape is None else self._deep):
            if shape is not None and shape.takes(word, start, end):
                continue
            if word == ";":
                return marks, start
            places = marks.setdefault(word, [])
            if len(places) < MOST_MARKS:
                places.append(Mark(start, end, 0 if shape is None else shape.depth))
        return marks, len(text)

    def _words(self, text: str, at: int, pieces: _Finder) -> Iterator[tuple[str, int, int]]:
        """Marked words and names, `;` and parentheses: in lower case, with their offsets."""
        while at < len(text):
            # A block comment may nest, so the expression stops at its opening.
            for match in pieces(text, at):
                group = match.lastgroup
                if group is None or group == "tag":
                    continue
                start, end = match.span(group)
                if group == "block":
                    at = _comment_end(text, start)
                    break
                if group == "word":
                    word = match[group].lower()
                    yield TEMP_SCHEMA if word[:7] == TEMP_SCHEMA else word, start, end
                else:
                    yield from self._name(text, start, match[group])
            else:
                return

    def _name(self, text: str, start: int, written: str) -> Iterator[tuple[str, int, int]]:
        name, end = written[1:-1], start + len(written)
        if written[0] != '"':
            name, end = name_at(text, start, written)
        if name in self._names:
            yield name, start, end
        elif name[:7] == TEMP_SCHEMA and _temp_schema(name):
            yield TEMP_SCHEMA, start, end


class _Shape:
    """What tells whether a `;` ends a CREATE: parentheses, and a routine's body."""

    __slots__ = ("_atomic_at", "_end_at", "_routine", "_text", "atomic", "depth")

    def __init__(self, text: str, at: int) -> None:
        read = StatementReader(text, at, len(text))
        kind = read.word(3) if read.words(1, "or", "replace") else read.word(1)
        self._text = text
        self._routine = kind in {"function", "procedure"}
        self._atomic_at = self._end_at = -1
        self.atomic = False
        self.depth = 0

    def takes(self, word: str, start: int, end: int) -> bool:
        """Whether the word shapes the statement and says nothing else."""
        if word == "(":
            self.depth += 1
        elif word == ")":
            self.depth -= 1
        elif word == ";":
            if self.atomic and self._end_at < end:
                self._end_at = _first(self._text, end)
            return self.atomic or self.depth > 0
        elif word == "begin":
            self._atomic_at = _first(self._text, end) if self._routine and not self.atomic else -1
        elif word == "atomic":
            if start == self._atomic_at and self.depth == 0:
                self.atomic, self._end_at = True, _first(self._text, end)
        elif word == "end":
            # The body's: a CASE has no `;` within.
            self.atomic &= start != self._end_at
        else:
            return False
        return True


def _pieces(words: str, signs: str) -> _Finder:
    """Finds the next string, name, comment or word; what is of interest is in a group."""
    piece = "|".join(
        [
            rf"(?P<word>(?:{words})(?![{_WORD}])|[{signs}])",
            rf"[eE]'{_ESCAPED}(?:{_NEXT_PART}{_ESCAPED})*",
            r"(?P<name>(?:[uU]&)?\"[^\"]*+(?:\"\"[^\"]*+)*\"?)",
            rf"[{_START}][{_WORD}]*+",
            r"'[^']*+'?",
            r"--[^\n\r]*+",
            _FLAT_COMMENT,
            r"(?P<block>/\*)",
            rf"(?P<tag>{_TAG})(?:(?s:.*?)(?P=tag)|(?s:.*))",
            r"[-/$]",
        ]
    )
    between = rf"[^{_START}'\"\-/${signs}]*+"
    return re.compile(f"{between}(?:{piece})", re.DOTALL | re.IGNORECASE | re.ASCII).finditer


def _first(text: str, at: int) -> int:
    """Where the next statement's first token begins."""
    before = -1
    while before < at:
        found = _between(text, at)
        before, at = at, at if found is None else found.end()
        if before == at and text.startswith("/*", at):
            at = _comment_end(text, at)
    return at


def _comment_end(text: str, start: int) -> int:
    comment = next(tokens(text, start))
    return start + len(comment.text)
