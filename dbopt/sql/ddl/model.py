"""What a DDL statement says. Places are offsets in characters of the text that was read.

Names are folded as the server folds them, and never cut: see the rule identifier-too-long.
"""

from __future__ import annotations

from collections.abc import Iterator
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


@dataclass(frozen=True, slots=True)
class Node:
    """A statement, or an action of ALTER TABLE; `at` is its place."""

    at: Span


@dataclass(frozen=True, slots=True)
class Other(Node):
    """A statement that no rule asks more about; `words` are its first ones, in lower case."""

    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Unread(Node):
    """A statement of a kind that rules need, which could not be read; `reason` says why."""

    words: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class CreateTable(Node):
    """CREATE TABLE; `like`, `inherits`, `partition_of` are tables that it takes its form from."""

    table: Name
    if_not_exists: bool
    temporary: bool
    on_commit_drop: bool = False
    columns: tuple[Column, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    partition_of: Name | None = None
    like: tuple[Name, ...] = ()
    inherits: tuple[Name, ...] = ()
    query: bool = False


@dataclass(frozen=True, slots=True)
class AddColumn(Node):
    """ADD COLUMN."""

    column: Column
    if_not_exists: bool


@dataclass(frozen=True, slots=True)
class DropColumn(Node):
    """DROP COLUMN."""

    column: str
    if_exists: bool
    cascade: bool


class Change(StrEnum):
    """What ALTER COLUMN changes."""

    TYPE = "type"
    SET_NOT_NULL = "set not null"
    DROP_NOT_NULL = "drop not null"
    SET_DEFAULT = "set default"
    DROP_DEFAULT = "drop default"
    ADD_IDENTITY = "add generated"
    SET_EXPRESSION = "set expression"
    SET_STATISTICS = "set statistics"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class AlterColumn(Node):
    """ALTER COLUMN; `expression` is TYPE's USING, or the default."""

    column: str
    change: Change
    type: TypeName | None = None
    expression: Expression | None = None


@dataclass(frozen=True, slots=True)
class AddConstraint(Node):
    """ADD CONSTRAINT."""

    constraint: Constraint


@dataclass(frozen=True, slots=True)
class ValidateConstraint(Node):
    """VALIDATE CONSTRAINT."""

    name: str


@dataclass(frozen=True, slots=True)
class DropConstraint(Node):
    """DROP CONSTRAINT."""

    name: str
    if_exists: bool
    cascade: bool


@dataclass(frozen=True, slots=True)
class Rename(Node):
    """RENAME; `what` is "column", "constraint", or "" for the object itself, `old` then is ""."""

    what: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class AttachPartition(Node):
    """ATTACH PARTITION, of a table or an index."""

    partition: Name


@dataclass(frozen=True, slots=True)
class DetachPartition(Node):
    """DETACH PARTITION."""

    partition: Name
    concurrently: bool
    finalize: bool


@dataclass(frozen=True, slots=True)
class OtherAction(Node):
    """Any other action, by its first words: `set tablespace`, `set logged`, `cluster on`.

    `name` is what it names, where that is one name: the trigger, the schema, the tablespace.
    """

    words: tuple[str, ...]
    name: str = ""


@dataclass(frozen=True, slots=True)
class Alter(Node):
    """ALTER of a table, index, view, sequence, schema, type and the like; `kind` says of which."""

    kind: str
    target: Name
    if_exists: bool
    actions: tuple[Node, ...] = ()


@dataclass(frozen=True, slots=True)
class AddEnumValue(Node):
    """ALTER TYPE ... ADD VALUE; `ordered` with BEFORE or AFTER."""

    type: Name
    if_not_exists: bool
    ordered: bool


@dataclass(frozen=True, slots=True)
class CreateIndex(Node):
    """CREATE INDEX; `keys` is how many columns and expressions it is over, INCLUDE aside.

    `concurrently` is the place of that word. `name` is None where PostgreSQL chooses one.
    """

    name: Name | None
    table: Name
    unique: bool
    concurrently: Span | None
    if_not_exists: bool
    only: bool
    keys: int


@dataclass(frozen=True, slots=True)
class Create(Node):
    """CREATE of anything that has no class of its own: view, schema, sequence, type, function."""

    kind: str
    name: Name
    or_replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False


@dataclass(frozen=True, slots=True)
class Drop(Node):
    """DROP of any objects; `table` is what a trigger, rule or policy is on."""

    kind: str
    names: tuple[Name, ...]
    if_exists: bool
    concurrently: bool
    cascade: bool
    table: Name | None = None


@dataclass(frozen=True, slots=True)
class Reindex(Node):
    """REINDEX; `what` is index, table, schema, database or system."""

    what: str
    name: Name | None
    concurrently: bool


@dataclass(frozen=True, slots=True)
class Truncate(Node):
    """TRUNCATE."""

    tables: tuple[Name, ...]
    cascade: Span | None


@dataclass(frozen=True, slots=True)
class Refresh(Node):
    """REFRESH MATERIALIZED VIEW."""

    view: Name
    concurrently: bool
    no_data: bool


@dataclass(frozen=True, slots=True)
class CreateTrigger(Node):
    """CREATE TRIGGER; `references` is a constraint trigger's FROM."""

    name: str
    table: Name
    references: Name | None = None


@dataclass(frozen=True, slots=True)
class CreateDomain(Node):
    """CREATE DOMAIN."""

    name: Name
    type: TypeName
    constraints: tuple[Constraint, ...]


@dataclass(frozen=True, slots=True)
class AlterDomain(Node):
    """ALTER DOMAIN; `constraint` is what it adds."""

    name: Name
    constraint: Constraint | None
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Maintain(Node):
    """VACUUM, CLUSTER, REPACK or ANALYZE; no table means all. `full` is VACUUM FULL."""

    command: str
    tables: tuple[Name, ...]
    full: bool = False
    concurrently: bool = False


@dataclass(frozen=True, slots=True)
class LockTable(Node):
    """LOCK TABLE; `mode` in upper case."""

    tables: tuple[Name, ...]
    mode: str
    nowait: bool


@dataclass(frozen=True, slots=True)
class Write(Node):
    """INSERT, UPDATE, DELETE, MERGE or COPY FROM; `filtered`: it has a WHERE.

    `query`: an INSERT that takes its rows from a query, not from VALUES.
    """

    command: str
    table: Name
    filtered: bool = False
    query: bool = False


@dataclass(frozen=True, slots=True)
class Setting(Node):
    """SET or set_config; `value` None is DEFAULT, RESET, or what cannot be read."""

    name: str
    value: str | None
    local: bool = False


@dataclass(frozen=True, slots=True)
class Transaction(Node):
    """BEGIN, COMMIT, ROLLBACK, SAVEPOINT and so on; `chain` with AND CHAIN.

    `command` is one of begin, commit, rollback, savepoint, release, rollback to, prepare, and
    set for SET TRANSACTION and SET CONSTRAINTS.
    """

    command: str
    chain: bool = False


@dataclass(frozen=True, slots=True)
class Block(Node):
    """DO, or CALL: code that runs and cannot be seen."""

    command: str


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text: its number from 1, its text without the `;`, and what it says."""

    number: int
    sql: str
    start: int
    does: Node

    @property
    def end(self) -> int:
        """One past its last character."""
        return self.start + len(self.sql)


def columns_of(node: Node) -> Iterator[Column]:
    """The columns that a statement gives a type to: those of CREATE TABLE and ADD COLUMN."""
    if isinstance(node, CreateTable):
        yield from node.columns
    elif isinstance(node, Alter):
        yield from (one.column for one in node.actions if isinstance(one, AddColumn))
