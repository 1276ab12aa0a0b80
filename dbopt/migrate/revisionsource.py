"""The Python file of a revision: where in it a piece of its SQL stands, and what it ignores."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

_marker = re.compile(r"#\s*dbopt:ignore[ \t]+([a-z0-9-]+(?:,[ \t]*[a-z0-9-]+)*)[ \t]*(.*)").match
EVERY_RULE = "all"


@dataclass(frozen=True, slots=True)
class Marker:
    """A comment `# dbopt:ignore RULE[, RULE] reason`."""

    line: int
    rules: frozenset[str]
    reason: str


@dataclass(frozen=True, slots=True)
class RevisionSource:
    """A revision's file. `spans`: the first and last line of each of its Python statements."""

    text: str
    spans: tuple[tuple[int, int], ...] = ()
    comments: frozenset[int] = frozenset()
    markers: tuple[Marker, ...] = ()
    lines: tuple[str, ...] = field(default=())

    def place(self, line: int, written: str, offset: int = 0) -> tuple[int, int]:
        """Line and column, from 1, of an offset in a line of SQL that the call in `line` has sent.

        Found where the call holds that line as it is, or one line alone of the file; else it is
        where the call starts.
        """
        # Alembic strips what it is given, and ends it.
        wanted = written.strip().removesuffix(";").rstrip()
        everywhere = range(1, len(self.lines) + 1)
        found = [at for at in everywhere if wanted and wanted in self.lines[at - 1]]
        near = [at for at in found if at in self._call(line)]
        if near or len(found) == 1:
            at = (near or found)[0]
            inside = max(offset - (len(written) - len(written.lstrip())), 0)
            return at, self.lines[at - 1].index(wanted) + min(inside, len(wanted)) + 1
        start = self.lines[line - 1] if 0 < line <= len(self.lines) else ""
        return max(line, 1), len(start) - len(start.lstrip()) + 1

    def ignores(self, rule: str, line: int) -> bool:
        """Whether a comment takes a rule's findings at a line back.

        A comment speaks of the Python statement that it stands in, or right above, and of all
        that is inside of it: a call, a `with`, a whole function.
        """
        return any(
            (rule in one.rules or EVERY_RULE in one.rules) and self._speaks_of(one, line)
            for one in self.markers
        )

    def _call(self, line: int) -> range:
        """The lines of the innermost statement around a line."""
        around = [span for span in self.spans if span[0] <= line <= span[1]]
        first, last = min(around, key=lambda span: span[1] - span[0], default=(line, line))
        return range(first, min(last, len(self.lines)) + 1)

    def _speaks_of(self, marker: Marker, line: int) -> bool:
        below = marker.line
        while below in self.comments:
            below += 1
        above = any(start == below and line <= end and line >= start for start, end in self.spans)
        return above or marker.line in self._call(line)


def read(text: str) -> RevisionSource:
    """What is known of a revision's text; of what is no Python, its lines alone. Never raises."""
    lines = tuple(text.split("\n"))
    try:
        spans = tuple(_spans(ast.parse(text)))
        comments = list(_comments(text))
    except (SyntaxError, ValueError, tokenize.TokenError, RecursionError):
        return RevisionSource(text, lines=lines)
    # What stands behind code is no line of comment.
    alone = frozenset(line for line, comment in comments if lines[line - 1].strip() == comment)
    found = ((line, _marker(comment)) for line, comment in comments)
    markers = tuple(
        Marker(line, frozenset(re.split(r",[ \t]*", match[1])), match[2].strip())
        for line, match in found
        if match is not None
    )
    return RevisionSource(text, spans, alone, markers, lines)


def _spans(tree: ast.AST) -> Iterator[tuple[int, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            decorators = getattr(node, "decorator_list", [])
            first = min([node.lineno, *(one.lineno for one in decorators)])
            yield first, node.end_lineno or node.lineno


def _comments(text: str) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def without_reason(markers: Collection[Marker]) -> list[Marker]:
    """The markers that do not say why."""
    return [one for one in markers if not one.reason]
