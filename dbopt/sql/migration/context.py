"""Migration: the statements of a text with what is known where each one runs."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from dbopt.sql.ddl.elements import Name
from dbopt.sql.ddl.model import (
    Node,
    Other,
    Setting,
    Statement,
    Transaction,
    Within,
)
from dbopt.sql.ddl.script import opened, read
from dbopt.sql.migration.made import Made
from dbopt.sql.migration.tools import changesets, filled, forward, is_dump, wraps
from dbopt.sql.parse import LONGEST_READ

ENDS = frozenset({"commit", "rollback", "prepare"})
"""Commands that end a transaction."""


@dataclass(frozen=True, eq=False)
class Subject:
    """One statement and where it runs. `order` counts them as they run, from 1. `transaction`
    numbers the transactions of the text, from 1; None is a statement of its own, which commits by
    itself. `nested`: it is of code that a transaction around it runs."""

    statement: Statement
    order: int
    transaction: int | None
    version: int
    made: Made
    nested: bool = False

    @property
    def does(self) -> Node:
        """What it says."""
        return self.statement.does

    @property
    def sql(self) -> str:
        """Its text, without the `;`."""
        return self.statement.sql

    @property
    def start(self) -> int:
        """Its offset in the text, in characters."""
        return self.statement.start

    @property
    def within(self) -> Within | None:
        """The code in a string that it is a part of."""
        return self.statement.within

    def is_new(self, name: Name, kind: str = "table") -> bool:
        """Whether the text has made this object before, so that nobody else uses it yet."""
        return self.made.is_made(name, self.order, kind)

    def is_named(self, name: Name, kind: str) -> bool:
        """Whether the text has given something this name before, so that nobody knows it yet."""
        return self.made.is_named(name, kind, self.order)

    def comes_back(self, name: Name, kind: str) -> bool:
        """Whether something has this name again before the transaction ends, so that whoever uses
        it waits, and finds it."""
        return self.made.comes_back(name, kind, self.order, self.transaction)


@dataclass(frozen=True, eq=False)
class Migration:
    """All statements of a text, as they run.

    `text` is without the quotes of code that was read; its offsets are those of the original.
    `assumed`: the tool that runs it opens a transaction. `ends_open` is the BEGIN that nothing
    ends. `cut`: the text is longer than what was read.
    """

    text: str
    subjects: tuple[Subject, ...]
    version: int
    assumed: bool
    ends_open: Subject | None = None
    cut: bool = False
    placeholders: Mapping[str, str] = field(default_factory=dict)

    def restored(self, words: str) -> str:
        """Words with the placeholders that the text has, not the names that were read for them."""
        for name, written in self.placeholders.items():
            words = words.replace(name, written)
        return words

    @cached_property
    def is_dump(self) -> bool:
        """Whether it tells what is there, so that nothing of it is to be decided now."""
        return is_dump(self.text)

    @cached_property
    def placed(self) -> tuple[Subject, ...]:
        """The statements as they stand in the text, those in a string left out."""
        return tuple(one for one in self.subjects if one.within is None)

    @cached_property
    def telling(self) -> tuple[Subject, ...]:
        """The statements but for those that are Other, of which there may be very many."""
        return tuple(one for one in self.subjects if not isinstance(one.does, Other))


def migration(
    text: str,
    *,
    in_transaction: bool = False,
    version: int = 18,
    known: Collection[str] = (),
) -> Migration:
    """The statements with their transactions; `in_transaction`: the tool that runs them opens one,
    unless the text itself begins with BEGIN and is of no tool that is known to.

    Of a text longer than LONGEST_READ only that much is read. Never raises.
    `known` has tables that are as new as if the text had made them: `name` or `schema.name`.
    """
    made = Made(known)
    subjects: list[Subject] = []
    readable, placeholders = filled(forward(text[:LONGEST_READ]))
    statements = read(readable)
    in_transaction = in_transaction and (wraps(text) or not _begins(statements))
    transactions = _Transactions(in_transaction)
    opening: Subject | None = None
    parts = deque(changesets(text) if in_transaction else ())
    for order, one in enumerate(statements, start=1):
        while parts and one.within is None and parts[0][0] < one.start:
            transactions.start_anew(parts.popleft()[1])
        number = transactions.of(one)
        nested = one.within is not None and transactions.current is not None
        subject = Subject(one, order, number, version, made, nested)
        if isinstance(one.does, Transaction) and one.within is None:
            opening = _opening(subject, one.does, opening)
        made.note(one.does, order, number)
        subjects.append(subject)
    cut = len(text) > LONGEST_READ
    shown = opened(text, statements)
    return Migration(shown, tuple(subjects), version, in_transaction, opening, cut, placeholders)


def _begins(statements: Iterable[Statement]) -> bool:
    """Whether BEGIN is the first statement, settings aside."""
    first = (one.does for one in statements if not isinstance(one.does, Setting))
    does = next(first, None)
    return isinstance(does, Transaction) and does.command == "begin"


def _opening(subject: Subject, does: Transaction, before: Subject | None) -> Subject | None:
    """The statement that has opened the transaction that is open."""
    if does.command == "begin":
        return before or subject
    if does.command in ENDS:
        return subject if does.chain else None
    return before


class _Transactions:
    """Counts the transactions of a text: `current` is the one that is open outside of code."""

    def __init__(self, is_open: bool) -> None:
        self._count = 1 if is_open else 0
        self.current = 1 if is_open else None
        self._inside: int | None = None

    def start_anew(self, is_open: bool) -> None:
        """The tool ends its transaction, and opens another one."""
        self.current = self._next() if is_open else None

    def of(self, one: Statement) -> int | None:
        """The transaction of the next statement; BEGIN and COMMIT are of the one that they mean."""
        command = one.does if isinstance(one.does, Transaction) else None
        if one.within is not None:
            return self.current or self._of_code(command)
        self._inside = None
        before = self.current
        if command is not None and command.command == "begin":
            self.current = before or self._next()
        elif command is not None and command.command in ENDS:
            self.current = self._next() if command.chain else None
        return self.current or before

    def _of_code(self, command: Transaction | None) -> int:
        """Code that no transaction is around is one, until it ends it: then the next one begins."""
        inside = self._inside or self._next()
        ends = command is not None and command.command in ENDS
        self._inside = self._next() if ends else inside
        return inside

    def _next(self) -> int:
        self._count += 1
        return self._count
