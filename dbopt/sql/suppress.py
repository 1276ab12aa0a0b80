"""`-- dbopt:ignore RULE reason`: a comment that takes a finding back, where it stands."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from dbopt.sql.lexer import Lexeme, Token, tokens

EVERY_RULE = "all"
"""The name that stands for every rule."""

_NOTHING: frozenset[str] = frozenset()
_names = r"([a-z0-9-]+(?:,[ \t]*[a-z0-9-]+)*)"
_marker = re.compile(rf"dbopt:ignore[ \t]+{_names}(.*)", re.DOTALL).search
_foreign = re.compile(rf"squawk-ignore(-file)?(?![a-z-])(?:[ \t]+{_names})?").search
_no_reason = " \t\r\n:,;.-*/"


class Placed(Protocol):
    """A statement of a text, by its offset in characters."""

    @property
    def start(self) -> int:
        """Where it starts."""

    @property
    def sql(self) -> str:
        """Its text."""


class Script(Protocol):
    """A text and its statements in order."""

    @property
    def text(self) -> str:
        """The text."""

    @property
    def subjects(self) -> Sequence[Placed]:
        """Its statements."""


class Marker(NamedTuple):
    """A marker: the rules that it names, the words behind them, and the place of its comment.

    `following` is where the next code starts. `everywhere`: it speaks of the whole text. `foreign`:
    it is squawk's.
    """

    rules: frozenset[str]
    reason: str
    start: int
    end: int
    following: int
    everywhere: bool = False
    foreign: bool = False


class Suppressions:
    """The markers of one text.

    A marker speaks of the statement that it precedes, with nothing but comments between; of a
    statement that starts or ends on its line; and of a finding on its line. One that stands on a
    line of its own inside a statement speaks of the next line, and of what is found of the
    statement as a whole.

    With `aliases` (another name → the rules that it means) a marker may use those names, and
    squawk's markers count too: `-- squawk-ignore RULE`, `-- squawk-ignore-file`.
    """

    def __init__(self, script: Script, aliases: Mapping[str, Iterable[str]] | None = None) -> None:
        self._newlines = [at for at, char in enumerate(script.text) if char == "\n"]
        self._text = script.text
        # Code in a string is statements within one, so that ends are in another order than starts.
        spans = sorted((one.start, one.start + len(one.sql)) for one in script.subjects)
        self._starts = [start for start, _ in spans]
        self._end_of = dict(spans)
        self._ends = sorted(self._end_of.values())
        self._of_line: dict[int, set[str]] = {}
        self._of_next_line: dict[int, set[str]] = {}
        self._of_statement: dict[int, set[str]] = {}
        self._of_whole: dict[int, set[str]] = {}
        self._of_all: set[str] = set()
        for marker in markers(script.text, foreign=aliases is not None):
            self._add(marker, _meant(marker.rules, aliases or {}))

    def cover(self, rule: str, subject: Placed, offset: int) -> bool:
        """Whether a marker takes back this rule's finding at an offset of the text."""
        end = subject.start + len(subject.sql)
        named = [self._of_all, self._of_statement.get(subject.start, _NOTHING)]
        named.append(self._of_next_line.get(self._line(offset), _NOTHING))
        if offset == subject.start:
            named.append(self._of_whole.get(offset, _NOTHING))
        for at in (subject.start, end, offset):
            named.append(self._of_line.get(self._line(at), _NOTHING))
        return any(rule in rules or EVERY_RULE in rules for rules in named)

    def _add(self, marker: Marker, rules: set[str]) -> None:
        if marker.everywhere:
            self._of_all |= rules
            return
        first = self._line(marker.start)
        for line in (first, self._line(marker.end)):
            _note(self._of_line, line, rules)
        # What stands behind code speaks of its own line alone.
        above = self._newlines[first - 1] + 1 if first else 0
        if self._text[above : marker.start].strip():
            return
        _note(self._of_next_line, self._line(marker.following), rules)
        at = bisect_left(self._starts, marker.start)
        closing = bisect_right(self._ends, marker.start)
        before = self._starts[at - 1] if at else -1
        if at < len(self._starts) and self._starts[at] < self._ends[closing]:
            _note(self._of_statement, self._starts[at], rules)
        elif self._end_of.get(before, -1) > marker.start:
            _note(self._of_whole, before, rules)

    def _line(self, offset: int) -> int:
        return bisect_left(self._newlines, offset)


def _note(where: dict[int, set[str]], at: int, rules: set[str]) -> None:
    where.setdefault(at, set()).update(rules)


def _meant(names: Iterable[str], aliases: Mapping[str, Iterable[str]]) -> set[str]:
    return {rule for name in names for rule in (name, *aliases.get(name, ()))}


def markers(text: str, *, foreign: bool = False) -> Iterator[Marker]:
    """The markers of a text in order, with `foreign` squawk's too."""
    if "dbopt:ignore" not in text and not (foreign and "squawk-ignore" in text):
        return
    waiting: list[Marker] = []
    for token in tokens(text):
        if token.lexeme is Lexeme.COMMENT:
            waiting += _read(token, len(text), foreign)
        elif waiting and token.lexeme is not Lexeme.SPACE:
            yield from (one._replace(following=token.start) for one in waiting)
            waiting = []
    yield from waiting


def _read(comment: Token, following: int, foreign: bool) -> Iterator[Marker]:
    text, start = comment.text, comment.start
    end = start + len(text)
    if (found := _marker(text)) is not None:
        yield Marker(_listed(found[1]), found[2].strip(_no_reason), start, end, following)
    elif foreign and (found := _foreign(text)) is not None:
        rules = _listed(found[2] or EVERY_RULE)
        yield Marker(rules, "", start, end, following, bool(found[1]), foreign=True)


def _listed(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split(","))
