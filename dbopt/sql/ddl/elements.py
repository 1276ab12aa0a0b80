"""What DDL statements are made of. Places are offsets in characters of the text that was read.

Names are folded as the server folds them, and never cut: see the rule identifier-too-long.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from dbopt.sql.lexer import Lexeme, Token, fold_case


class Span(NamedTuple):
    """From a start to an end, the end not included."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Name:
    """A name and its schema, "" where none is written."""

    schema: str
    name: str
    at: Span

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name

    @property
    def key(self) -> tuple[str, str]:
        """What two mentions of one relation have in common: public is the default schema."""
        return (self.schema or "public", self.name)


@dataclass(frozen=True, slots=True)
class Expression:
    """An expression: its tokens without blanks, and its place."""

    tokens: tuple[Token, ...]
    at: Span

    @property
    def words(self) -> tuple[str, ...]:
        """Its keywords, names and signs in lower case; "" for constants and quoted names."""
        skipped = {Lexeme.NAME, Lexeme.STRING}
        return tuple("" if t.lexeme in skipped else fold_case(t.text) for t in self.tokens)


@dataclass(frozen=True, slots=True)
class TypeName:
    """A type by its one common spelling: integer, bigint, varchar, timestamptz.

    `modifiers` are the texts in its parentheses. A quoted name is in quotes here too: "char".
    """

    name: str
    schema: str
    modifiers: tuple[str, ...]
    array: bool
    at: Span

    def __str__(self) -> str:
        modifiers = f"({','.join(self.modifiers)})" if self.modifiers else ""
        return f"{self.name}{modifiers}{'[]' if self.array else ''}"


class ConstraintKind(StrEnum):
    """What a constraint of a column, a table or a domain demands or gives."""

    CHECK = "check"
    NOT_NULL = "not null"
    NULL = "null"
    DEFAULT = "default"
    GENERATED = "generated"
    IDENTITY = "identity"
    UNIQUE = "unique"
    PRIMARY_KEY = "primary key"
    FOREIGN_KEY = "foreign key"
    EXCLUDE = "exclude"


@dataclass(frozen=True, slots=True)
class Constraint:
    """A constraint; `columns` are those that it names, of a foreign key the referencing ones.

    `expression` is that of CHECK, DEFAULT and GENERATED; `virtual` is GENERATED's VIRTUAL.
    """

    kind: ConstraintKind
    at: Span
    name: str = ""
    columns: tuple[str, ...] = ()
    expression: Expression | None = None
    references: Name | None = None
    using_index: str = ""
    not_valid: bool = False
    enforced: bool = True
    virtual: bool = False
    deferrable: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """A column; `type` is None where the statement names none (PARTITION OF, OF a type)."""

    name: str
    type: TypeName | None
    constraints: tuple[Constraint, ...]
    at: Span

    def has(self, *kinds: ConstraintKind) -> bool:
        """Whether it has a constraint of one of these kinds."""
        return any(one.kind in kinds for one in self.constraints)

    def first(self, kind: ConstraintKind) -> Constraint | None:
        """Its first constraint of a kind."""
        return next((one for one in self.constraints if one.kind is kind), None)
