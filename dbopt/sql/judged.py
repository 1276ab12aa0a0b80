"""What is said of a statement, and of several that run together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sqlglot import exp

from dbopt.sql.certainty import UNREAD, Doubt
from dbopt.sql.kinds import STRENGTH
from dbopt.sql.parse import Statement
from dbopt.sql.query import Kind, Relation


@dataclass(frozen=True, slots=True)
class Classification:
    """What a text does. `parsed` is False where any of its statements could not be read.

    `unqualified`: it runs an UPDATE or DELETE that does not say which rows. `ddl`: it runs DDL,
    even inside EXPLAIN ANALYZE. `doubts`: why its answer may not be kept.
    """

    kind: Kind
    read_only: bool
    reads: tuple[Relation, ...] = ()
    writes: tuple[Relation, ...] = ()
    parsed: bool = True
    unqualified: bool = False
    ddl: bool = False
    doubts: tuple[Doubt, ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """One statement with its tree, if it is a query or DML that sqlglot can read.

    Of a statement that has another one inside (EXPLAIN, PREPARE, DECLARE, COPY, CREATE AS) the
    tree, and what it reads and writes, are those of the inner one; `source` is what was parsed.
    """

    statement: Statement
    tree: exp.Expression | None
    does: Classification
    inner: Statement | None = None

    @property
    def source(self) -> Statement:
        """The statement that `tree` is of."""
        return self.statement if self.inner is None else self.inner


NOTHING = Classification(Kind.UTILITY, False, parsed=False, doubts=(UNREAD,))
"""The class of an empty text."""


def combine(classes: Iterable[Classification]) -> Classification:
    """One class for statements that run together."""
    every = list(classes)
    if not every:
        return NOTHING
    if len(every) == 1:
        return every[0]
    doubts = [Doubt("several statements"), *(doubt for c in every for doubt in c.doubts)]
    return Classification(
        max((c.kind for c in every), key=STRENGTH.__getitem__),
        all(c.read_only for c in every),
        in_order(relation for c in every for relation in c.reads),
        in_order(relation for c in every for relation in c.writes),
        all(c.parsed for c in every),
        any(c.unqualified for c in every),
        any(c.ddl for c in every),
        tuple(dict.fromkeys(doubts)),
    )


def in_order(relations: Iterable[Relation]) -> tuple[Relation, ...]:
    """The relations sorted, once each."""
    return tuple(sorted(set(relations)))
