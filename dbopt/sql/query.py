"""Query: what dbopt knows of one statement. Everything keys on its fingerprint."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a statement does, as a whole."""

    READ = "read"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    MERGE = "merge"
    DDL = "ddl"
    DCL = "dcl"
    TRANSACTION = "transaction"
    COPY = "copy"
    UTILITY = "utility"
    CALL = "call"
    EXPLAIN = "explain"
    SESSION = "session"


@dataclass(frozen=True, slots=True, order=True)
class Relation:
    """A table or view as the statement names it; `schema` is "" where it names none."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}" if self.schema else self.name


class Role(StrEnum):
    """What a statement does with a column.

    CONTAIN: an array's or document's operator. PROJECT: it is in the result.
    """

    EQUAL = "equal"
    RANGE = "range"
    JOIN = "join"
    CONTAIN = "contain"
    ORDER = "order"
    GROUP = "group"
    PROJECT = "project"


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One use. `source` tells apart several occurrences of one table in the statement.

    `always` is False under OR and NOT: the condition need not hold for every row wanted.
    """

    relation: Relation
    source: int
    column: str
    role: Role
    always: bool = True
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a statement is complex: what, and how many points."""

    what: str
    points: int


@dataclass(frozen=True, slots=True)
class Complexity:
    """A score (the limit is 100 by default), its class, and the reasons, largest first."""

    score: int
    grade: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One text, judged; of several statements all together, the strongest kind.

    `parsed` is False where sqlglot could not read it; the class is then conservative: not
    read-only, not cacheable, kind by its first words. `unqualified`: it runs an UPDATE or DELETE
    that does not say which rows. `ddl`: it runs DDL, even inside EXPLAIN ANALYZE.

    `deterministic` and `cacheable`: see dbopt.sql.certainty; `uncacheable_because` has the
    reasons in plain words, and is empty exactly where `cacheable` is True.
    """

    text: str
    fingerprint: int
    kind: Kind
    read_only: bool
    reads: tuple[Relation, ...]
    writes: tuple[Relation, ...]
    complexity: Complexity
    parsed: bool = True
    columns: tuple[ColumnUse, ...] = ()
    statements: int = 1
    unqualified: bool = False
    ddl: bool = False
    deterministic: bool = False
    uncacheable_because: tuple[str, ...] = ("was not looked at",)

    @property
    def cacheable(self) -> bool:
        """Whether its answer may be kept until a relation that it reads is written."""
        return not self.uncacheable_because
