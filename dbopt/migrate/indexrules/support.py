"""What every rule for declared indexes is made of."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

from dbopt.migrate.annotations import Annotations
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import IndexDefinition
from dbopt.sql.lexer import Lexeme, Token, code, unquote
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation

NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
"""Tokens that may be a column's or a function's name."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One declared index: what it means, where it stands, and `sql`, how it is written."""

    definition: IndexDefinition
    file: str
    line: int
    column: int
    notes: Annotations
    sql: str

    @property
    def where(self) -> str:
        """The place as `indexes/users.sql:3`."""
        return f"{self.file}:{self.line}"

    @property
    def table(self) -> tuple[str, str]:
        """Schema ("" where none is named) and table."""
        return self.definition.schema, self.definition.table


@dataclass(frozen=True)
class Declarations:
    """All declared indexes in the order of their files, and what is known besides.

    `pattern` is a regular expression that names must match whole, "" for any; `{table}` in it is
    the table's name. `schema` is that of a database, None where none is looked at.
    """

    entries: tuple[Entry, ...]
    today: date
    pattern: str = ""
    schema: Schema | None = None

    def by_table(self, entry: Entry) -> tuple[Entry, ...]:
        """All indexes of an index's table, itself too, in their order."""
        return self._tables[entry.definition.table]

    @cached_property
    def _tables(self) -> dict[str, tuple[Entry, ...]]:
        found: dict[str, list[Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.definition.table, []).append(entry)
        return {table: tuple(entries) for table, entries in found.items()}

    def relation(self, entry: Entry) -> SchemaRelation | None:
        """The table of an index in the database, if there is one."""
        if self.schema is None:
            return None
        return self.schema.find(Relation(*entry.table))

    def column(self, entry: Entry, name: str) -> SchemaColumn | None:
        """A column of an index's table in the database, if there is one."""
        relation = self.relation(entry)
        return relation.columns.get(name) if relation is not None else None


@dataclass(frozen=True, slots=True)
class Match:
    """One index that a rule finds something in; remedy and severity are the case's own."""

    entry: Entry
    message: str
    remedy: str = ""
    severity: Severity | None = None
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; each file of this package has one, as RULE.

    `reason` says what is bad about it, `remedy` what to do. `fires` is the text of a file that it
    finds something in and `passes` one, as like it as can be, in which it finds nothing.
    `needs_schema`: without a database it finds nothing, and says so.
    """

    name: str
    severity: Severity
    summary: str
    reason: str
    remedy: str
    fires: str
    passes: str
    check: Callable[[Declarations], Iterable[Match]]
    needs_schema: bool = False


def each(
    check: Callable[[Entry, Declarations], Iterable[Match]],
) -> Callable[[Declarations], Iterator[Match]]:
    """A check of one index after the other."""

    def checked(found: Declarations) -> Iterator[Match]:
        for entry in found.entries:
            yield from check(entry, found)

    return checked


def pattern_for(pattern: str, table: str) -> re.Pattern[str]:
    """The expression that names of a table's indexes must match. Raises re.error."""
    return re.compile(pattern.replace("{table}", re.escape(table)))


def conjuncts(predicate: str) -> list[list[Token]]:
    """The parts of a condition that AND joins, outermost parentheses taken off."""
    return list(_parts(_bare(code(predicate))))


def calls(expression: str) -> Iterator[str]:
    """The names of the functions that an expression calls, folded, without their schema."""
    tokens = code(expression)
    for at, token in enumerate(tokens):
        following = tokens[at + 1].text if at + 1 < len(tokens) else ""
        if token.lexeme in NAMES and following == "(":
            yield unquote(token.text)


def words(sql: str) -> list[str]:
    """The tokens of a text in lower case, but for names in quotes."""
    return [t.text if t.lexeme is Lexeme.NAME else t.text.lower() for t in code(sql)]


def _parts(tokens: Sequence[Token]) -> Iterator[list[Token]]:
    # OR binds less: what it joins is one part, with every AND in it.
    if any(word == "or" for _, word in _outermost(tokens)):
        yield list(tokens)
        return
    start, between = 0, False
    for at, word in _outermost(tokens):
        if word == "and" and not between:
            yield _bare(tokens[start:at])
            start = at + 1
        between = word == "between" or (between and word != "and")
    yield _bare(tokens[start:])


def _outermost(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """The words outside of all parentheses, folded, with their numbers."""
    depth = 0
    for at, token in enumerate(tokens):
        depth += _step(token)
        if depth == 0 and token.lexeme is Lexeme.WORD:
            yield at, token.text.lower()


def _step(token: Token) -> int:
    return {"(": 1, ")": -1}.get(token.text, 0) if token.lexeme is Lexeme.PUNCT else 0


def _bare(tokens: Sequence[Token]) -> list[Token]:
    """Without the parentheses around all of it."""
    tokens = list(tokens)
    while len(tokens) > 2 and _closes_last(tokens):
        tokens = tokens[1:-1]
    return tokens


def _closes_last(tokens: Sequence[Token]) -> bool:
    depth = 0
    for at, token in enumerate(tokens):
        depth += _step(token)
        if depth == 0:
            return at == len(tokens) - 1
    return False
