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
    """One statement, judged. `parsed` is False where sqlglot could not read it; the class is
    then conservative: not read-only, kind by its first words."""

    text: str
    fingerprint: int
    kind: Kind
    read_only: bool
    reads: tuple[Relation, ...]
    writes: tuple[Relation, ...]
    complexity: Complexity
    parsed: bool = True
