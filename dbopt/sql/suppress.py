"""`-- dbopt:ignore RULE reason`: a comment that takes a finding back, where it stands."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from dbopt.sql.lexer import Lexeme, Token, tokens
from dbopt.sql.script import Script, Subject

EVERY_RULE = "all"
"""The name that stands for every rule."""

_NOTHING: frozenset[str] = frozenset()
_marker = re.compile(r"dbopt:ignore[ \t]+([a-z0-9-]+(?:,[ \t]*[a-z0-9-]+)*)").search


class Suppressions:
    """The markers of one text.

    A marker speaks of the statement that it precedes, with nothing but comments between; of a
    statement that starts or ends on its line; and of a finding on its line.
    """

    def __init__(self, script: Script) -> None:
        self._newlines = [at for at, char in enumerate(script.text) if char == "\n"]
        self._starts = [one.start for one in script.subjects]
        self._ends = [0, *(one.start + len(one.sql) for one in script.subjects)]
        self._of_line: dict[int, set[str]] = {}
        self._of_statement: dict[int, set[str]] = {}
        for comment, rules in _markers(script.text):
            self._add(comment, rules)

    def cover(self, rule: str, subject: Subject, offset: int) -> bool:
        """Whether a marker takes back this rule's finding at an offset of the text."""
        end = subject.start + len(subject.sql)
        named = [self._of_statement.get(subject.start, _NOTHING)]
        for at in (subject.start, end, offset):
            named.append(self._of_line.get(self._line(at), _NOTHING))
        return any(rule in rules or EVERY_RULE in rules for rules in named)

    def _add(self, comment: Token, rules: set[str]) -> None:
        first = self._line(comment.start)
        for line in (first, self._line(comment.start + len(comment.text))):
            self._of_line.setdefault(line, set()).update(rules)
        following = bisect_left(self._starts, comment.start)
        # What stands behind a statement, on its last line, does not speak of the next one.
        alone = following == 0 or first > self._line(self._ends[following])
        if alone and following < len(self._starts) and comment.start >= self._ends[following]:
            self._of_statement.setdefault(self._starts[following], set()).update(rules)

    def _line(self, offset: int) -> int:
        return bisect_left(self._newlines, offset)


def _markers(text: str) -> Iterator[tuple[Token, set[str]]]:
    if "dbopt:ignore" not in text:
        return
    for token in tokens(text):
        found = _marker(token.text) if token.lexeme is Lexeme.COMMENT else None
        if found is not None:
            yield token, {name.strip() for name in found[1].split(",")}
