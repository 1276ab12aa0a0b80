"""What a DDL statement says: one class a form that the rules ask about."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dbopt.sql.ddl.bodies import Body
from dbopt.sql.ddl.elements import Column, Constraint, Expression, Name, Span, TypeName


@dataclass(frozen=True, slots=True)
class Node:
    """A statement, or an action of ALTER TABLE; `at` is its place."""

    at: Span


@dataclass(frozen=True, slots=True)
class Other(Node):
    """A statement that no rule asks more about."""


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
    SET_OPTIONS = "set options"
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
    """ALTER TYPE ... ADD VALUE; `ordered` with BEFORE or AFTER. `value` is in its quotes."""

    type: Name
    value: str
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
    """CREATE of anything that has no class of its own: view, schema, sequence, type, function.

    `table` is what a policy or a rule is on.
    """

    kind: str
    name: Name
    or_replace: bool = False
    if_not_exists: bool = False
    temporary: bool = False
    table: Name | None = None


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

    @property
    def reads_tables(self) -> bool:
        """Whether every table with a column of the domain is locked and read for it."""
        if self.constraint is not None:
            return not self.constraint.not_valid
        return self.words in {("validate", "constraint"), ("set", "not")}


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
    r"""DO, CALL, EXECUTE, psql's `\i` and `\gexec`: code that runs.

    `examined`: its statements follow it, with it as their caller; else nobody can see it.
    """

    command: str
    examined: bool = False


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement of a text: its number from 1, its text without the `;`, and what it says.

    `within` is the code that it is a part of; its number is the holder's then.
    """

    number: int
    sql: str
    start: int
    does: Node
    within: Within | None = None

    @property
    def end(self) -> int:
        """One past its last character."""
        return self.start + len(self.sql)


@dataclass(frozen=True, slots=True)
class Within:
    """Code in a string. `name` is "a DO block", "EXECUTE" or a function's, with its brackets.

    `holder` is the statement that the string is a part of, and `caller` the one that runs it:
    the same, but for a function.
    """

    name: str
    body: Body
    holder: Statement
    caller: Statement
