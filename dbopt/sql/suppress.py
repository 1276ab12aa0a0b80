"""`-- dbopt:ignore RULE reason`: a comment that takes a finding back, where it stands."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from dbopt.sql.lexer import Lexeme, tokens

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

    `everywhere`: it speaks of the whole text. `foreign`: it is squawk's.
    """

    rules: frozenset[str]
    reason: str
    start: int
    end: int
    everywhere: bool = False
    foreign: bool = False


class Suppressions:
    """The markers of one text.

    A marker speaks of the statement that it precedes, with nothing but comments between; of a
    statement that starts or ends on its line; and of a finding on its line.

    With `aliases` (another name → the rules that it means) a marker may use those names, and
    squawk's markers count too: `-- squawk-ignore RULE`, `-- squawk-ignore-file`.
    """

    def __init__(self, script: Script, aliases: Mapping[str, Iterable[str]] | None = None) -> None:
        self._newlines = [at for at, char in enumerate(script.text) if char == "\n"]
        self._starts = [one.start for one in script.subjects]
        self._ends = [0, *(one.start + len(one.sql) for one in script.subjects)]
        self._of_line: dict[int, set[str]] = {}
        self._of_statement: dict[int, set[str]] = {}
        self._of_all: set[str] = set()
        for marker in markers(script.text, foreign=aliases is not None):
            self._add(marker, _meant(marker.rules, aliases or {}))

    def cover(self, rule: str, subject: Placed, offset: int) -> bool:
        """Whether a marker takes back this rule's finding at an offset of the text."""
        end = subject.start + len(subject.sql)
        named = [self._of_all, self._of_statement.get(subject.start, _NOTHING)]
        for at in (subject.start, end, offset):
            named.append(self._of_line.get(self._line(at), _NOTHING))
        return any(rule in rules or EVERY_RULE in rules for rules in named)

    def _add(self, marker: Marker, rules: set[str]) -> None:
        if marker.everywhere:
            self._of_all |= rules
            return
        first = self._line(marker.start)
        for line in (first, self._line(marker.end)):
            self._of_line.setdefault(line, set()).update(rules)
        following = bisect_left(self._starts, marker.start)
        # What stands behind a statement, on its last line, does not speak of the next one.
        alone = following == 0 or first > self._line(self._ends[following])
        if alone and following < len(self._starts) and marker.start >= self._ends[following]:
            self._of_statement.setdefault(self._starts[following], set()).update(rules)

    def _line(self, offset: int) -> int:
        return bisect_left(self._newlines, offset)


def _meant(names: Iterable[str], aliases: Mapping[str, Iterable[str]]) -> set[str]:
    return {rule for name in names for rule in (name, *aliases.get(name, ()))}


def markers(text: str, *, foreign: bool = False) -> Iterator[Marker]:
    """The markers of a text in order, with `foreign` squawk's too."""
    if "dbopt:ignore" not in text and not (foreign and "squawk-ignore" in text):
        return
    for token in tokens(text):
        if token.lexeme is not Lexeme.COMMENT:
            continue
        end = token.start + len(token.text)
        if (found := _marker(token.text)) is not None:
            yield Marker(_listed(found[1]), found[2].strip(_no_reason), token.start, end)
        elif foreign and (found := _foreign(token.text)) is not None:
            rules = _listed(found[2] or EVERY_RULE)
            yield Marker(rules, "", token.start, end, bool(found[1]), foreign=True)


def _listed(names: str) -> frozenset[str]:
    return frozenset(name.strip() for name in names.split(","))
