"""What is known of each statement by its fingerprint: its text, its kind, its complexity.

A worker sends a text once only, so that it is kept here however often the counts are cleared.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Protocol

from dbopt.sql.query import Complexity, Query

OTHER = "(other)"
"""The text, and the application, of what is counted together beyond a bound."""
UNKNOWN = "other"
"""The kind of what cannot be judged: many statements in one, or one whose text was lost."""
_MAX_CHARACTERS = 32 << 20
_OVERHEAD = 200


class Judge(Protocol):
    """dbopt.sql.analyze.Analyzer."""

    def analyze(self, text: str) -> Query:
        """What a text does, and how complex it is. Never raises."""
        ...


class Known:
    """One statement. `complexity` is None until it is judged, and where it cannot be."""

    __slots__ = ("complexity", "judged", "kind", "text")

    def __init__(self, text: str, judged: bool = False) -> None:
        self.text = text
        self.kind = UNKNOWN
        self.complexity: Complexity | None = None
        self.judged = judged


class Book:
    """Statements by fingerprint; the longest unseen go first once their texts fill the memory.

    `unparsed` counts those that were judged by their words alone.
    """

    def __init__(self, judge: Judge, most: int = _MAX_CHARACTERS) -> None:
        self._judge = judge
        self._most = most
        self._size = 0
        self.unparsed = 0
        self._known: OrderedDict[int, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def learn(self, number: int, text: str) -> None:
        """Note that a statement was seen; `text` is empty where it was sent before."""
        known = self._known.get(number)
        if known is not None:
            self._known.move_to_end(number)
        elif text:
            # Fingerprint 0 stands for many statements: there is nothing to judge.
            self._known[number] = Known(text, judged=number == 0)
            self._size += len(text) + _OVERHEAD
            while self._size > self._most and len(self._known) > 1:
                self._size -= len(self._known.popitem(last=False)[1].text) + _OVERHEAD

    def known(self, number: int) -> Known:
        """The statement as far as it is known, perhaps not judged yet."""
        return self._known.get(number) or Known("" if number else OTHER, judged=True)

    def judged(self, number: int) -> Known:
        """The statement, judged now if it was not before (about 1 ms)."""
        known = self.known(number)
        if not known.judged:
            query = self._judge.analyze(known.text)
            self.unparsed += not query.parsed
            known.kind, known.complexity = str(query.kind), query.complexity
            known.judged = True
        return known

    def judge_with(self, judge: Judge) -> None:
        """Judge anew from now on, since the limit of complexity has changed."""
        self._judge = judge
        for number, known in self._known.items():
            known.judged = number == 0
