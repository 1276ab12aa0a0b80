"""Script: the statements of a text as the lint rules see them, each parsed once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from sqlglot import exp

from dbopt.sql.classify import Judged, judge
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.schema import Schema
from dbopt.sql.split import position


@dataclass(slots=True)
class Rewriting:
    """What the rewrites of one statement have cost so far, in tokens that were printed and read
    back, and what is known of it, None where nobody has asked."""

    tokens: int = 0
    faithful: bool | None = None
    steady: bool | None = None


@dataclass(frozen=True)
class Subject:
    """One statement. `start` is its offset in the text, in characters; line and column from 1."""

    judged: Judged
    start: int
    line: int
    column: int
    schema: Schema | None = None

    @property
    def sql(self) -> str:
        """Its text, without the `;`."""
        return self.judged.statement.text

    @property
    def tree(self) -> exp.Expression | None:
        """Its tree; None where it is no query or DML, or cannot be parsed. Not to be changed."""
        return self.judged.tree

    @cached_property
    def rewriting(self) -> Rewriting:
        """For dbopt.sql.rules alone."""
        return Rewriting()

    @cached_property
    def fingerprint(self) -> int:
        """See dbopt.sql.fingerprint."""
        return fingerprint(self.sql)


@dataclass(frozen=True)
class Script:
    """All statements of one text, in order."""

    text: str
    subjects: tuple[Subject, ...]
    schema: Schema | None = None


def script(text: str, schema: Schema | None = None) -> Script:
    """The statements of a text. Never raises."""
    return Script(text, tuple(_subject(text, one, schema) for one in judge(text)), schema)


def _subject(text: str, judged: Judged, schema: Schema | None) -> Subject:
    start = judged.statement.tokens[0].start
    line, column = position(text, start)
    return Subject(judged, start, line, column, schema)
