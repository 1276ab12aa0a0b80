"""One statement of a text as the rules of effects see it, and the entries that they make of it."""

from __future__ import annotations

from dbopt.sql.outline import Mark, Span
from dbopt.sql.reader import StatementReader
from dbopt.sql.sessioneffect import Effect, SessionStatement


class Statement:
    """A statement: its text, its span, its tokens, and entries for what it does."""

    __slots__ = ("read", "span", "text")

    def __init__(self, text: str, span: Span) -> None:
        self.text, self.span = text, span
        self.read = StatementReader(text, span.start, span.end)

    def after(self, mark: Mark) -> StatementReader:
        """The tokens behind a marked word."""
        return StatementReader(self.text, mark.end, self.span.end)

    def entry(self, kind: Effect, *names: str, every: bool = False) -> SessionStatement:
        """An entry without a place for its name."""
        return SessionStatement(kind, self.span.start, self.span.end, names, every)

    def named(
        self, kind: Effect, index: int, read: StatementReader | None = None
    ) -> list[SessionStatement]:
        """An entry with the identifier at an index; [] where none is, which the server refuses."""
        found = (read or self.read).identifier(index)
        if found is None:
            return []
        entry = self.entry(kind, found.name)
        return [entry._replace(name_start=found.start, name_end=found.end)]

    def named_or(self, every: str, kind: Effect, index: int) -> list[SessionStatement]:
        """The same where a word or sign says all of them."""
        if self.read.word(index) == every:
            return [self.entry(kind, "*" if every == "*" else "", every=True)]
        return self.named(kind, index)
