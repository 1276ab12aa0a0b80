"""Migration: the statements of a text with what is known where each one runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from dbopt.sql.ddl.elements import Constraint, ConstraintKind, Name, Span
from dbopt.sql.ddl.model import (
    AddConstraint,
    Alter,
    Create,
    CreateDomain,
    CreateIndex,
    CreateTable,
    Node,
    Other,
    OtherAction,
    Rename,
    Setting,
    Statement,
    Transaction,
    Within,
)
from dbopt.sql.ddl.script import opened, read
from dbopt.sql.migration.tools import filled, forward, is_dump, wraps
from dbopt.sql.parse import LONGEST_READ

ENDS = frozenset({"commit", "rollback", "prepare"})
"""Commands that end a transaction."""
_SPACES = {
    **{kind: kind for kind in ("schema", "type", "trigger", "policy", "extension")},
    **dict.fromkeys(("function", "procedure", "routine", "aggregate"), "function"),
    "domain": "type",
}
"""Kinds of object that share no names with relations."""


class Made:
    """What a text makes, and with which of its statements: new objects harm nobody."""

    def __init__(self, known: Collection[str] = ()) -> None:
        self._numbers: dict[tuple[str, str], dict[str, int]] = {}
        self._given: dict[tuple[str, str], list[tuple[int, int | None]]] = {}
        for one in known:
            schema, _, name = one.rpartition(".")
            self._note("relation", Name(schema, name, Span(0, 0)), 0)

    def note(self, node: Node, number: int, transaction: int | None) -> None:
        """Takes notice of a statement."""
        for space, name in _names_given(node):
            self._given.setdefault((space, name), []).append((number, transaction))
        if isinstance(node, CreateTable):
            self._note("relation", node.table, number)
            for one in (*_sequences(node), *_indexes(node.table, node.constraints)):
                self._note("relation", one, number)
        elif isinstance(node, CreateIndex) and node.name is not None:
            self._note("relation", replace(node.name, schema=node.table.schema), number)
        elif isinstance(node, CreateDomain):
            self._note("type", node.name, number)
        elif isinstance(node, Create) and not node.or_replace:
            self._note(_SPACES.get(node.kind, "relation"), node.name, number)
        elif isinstance(node, Alter) and self.is_made(node.target, number, node.kind):
            self._follow(node, number)

    def is_made(self, name: Name, before: int, kind: str = "table") -> bool:
        """Whether an earlier statement than this number has made the object.

        A name without a schema may be that of any schema.
        """
        if name.schema == "pg_temp":
            return True
        schemas = self._numbers.get((_SPACES.get(kind, "relation"), name.name), {})
        wanted = (name.schema, "") if name.schema else tuple(schemas)
        return any(schemas.get(schema, before) < before for schema in wanted)

    def is_named(self, name: Name, kind: str, before: int) -> bool:
        """Whether an earlier statement has given something this name, whatever it was before."""
        given = self._given.get((_SPACES.get(kind, "relation"), name.name), [])
        return bool(given) and given[0][0] < before

    def comes_back(self, name: Name, kind: str, after: int, transaction: int | None) -> bool:
        """Whether a later statement of the same transaction gives something this name."""
        given = self._given.get((_SPACES.get(kind, "relation"), name.name), [])
        return transaction is not None and any(
            number > after and within == transaction for number, within in given[-1:]
        )

    def _follow(self, node: Alter, number: int) -> None:
        """The new name of what was made here is as new, and so are its constraints' indexes."""
        space = _SPACES.get(node.kind, "relation")
        for action in node.actions:
            if isinstance(action, AddConstraint):
                for one in _indexes(node.target, (action.constraint,)):
                    self._note("relation", one, number)
            if isinstance(action, OtherAction) and action.words == ("set", "schema"):
                self._note(space, Name(action.name, node.target.name, action.at), number)
            if isinstance(action, Rename) and not action.what:
                renamed = Name(node.target.schema, action.new, action.at)
                self._note(space, renamed, number)

    def _note(self, space: str, name: Name, number: int) -> None:
        self._numbers.setdefault((space, name.name), {}).setdefault(name.schema, number)


def _names_given(node: Node) -> Iterator[tuple[str, str]]:
    """The names that objects have from this statement on: created, replaced or renamed ones."""
    if isinstance(node, CreateTable):
        yield "relation", node.table.name
    elif isinstance(node, Create):
        yield _SPACES.get(node.kind, "relation"), node.name.name
    elif isinstance(node, Alter):
        for action in node.actions:
            if isinstance(action, Rename) and not action.what:
                yield _SPACES.get(node.kind, "relation"), action.new


def _sequences(table: CreateTable) -> Iterator[Name]:
    """The sequences that its numbered columns get, by the names that PostgreSQL gives them."""
    for column in table.columns:
        serial = column.type is not None and column.type.name.endswith("serial")
        if serial or column.has(ConstraintKind.IDENTITY):
            yield replace(table.table, name=f"{table.table.name}_{column.name}_seq")


def _indexes(table: Name, constraints: Iterable[Constraint]) -> Iterator[Name]:
    """The indexes of its constraints, by the names that these have or get."""
    for one in constraints:
        name = one.name
        if not name and one.kind is ConstraintKind.PRIMARY_KEY:
            name = f"{table.name}_pkey"
        if name:
            yield replace(table, name=name)


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
    for order, one in enumerate(statements, start=1):
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
