"""What the guard judges of a text: what PREPARE and DECLARE hold, and each statement of several.

SQL's EXECUTE runs what a PREPARE of the same client brought, which was judged then.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from dbopt.guard.longtext import is_do, skim
from dbopt.sql.fingerprint import fingerprint
from dbopt.sql.inside import declared, explained, prepared
from dbopt.sql.kinds import STRENGTH
from dbopt.sql.parse import LONGEST_READ, Statement, split
from dbopt.sql.query import Complexity, Kind, Query

Analyze = Callable[[str], Query]

_HARMLESS = (Kind.TRANSACTION, Kind.SESSION)
_NO_COMPLEXITY = Complexity(0, "simple", ())


class Subject(NamedTuple):
    """What is judged, and the text that the planner may be asked about; "" where there is none.

    `inside`: fingerprints of the statements in it that are run too, by which it may be denied.
    """

    query: Query
    sql: str
    inside: frozenset[int] = frozenset()


def subject(text: str, number: int, analyze: Analyze) -> Subject | None:
    """A text as the guard takes it; None where it holds no statement. Never raises.

    `number` is the text's own fingerprint, which the lists and the quarantine go by. Of several
    statements the dearest gives the complexity: sent one by one they would cost no less.
    """
    statements = split(text[:LONGEST_READ])
    cut = len(text) > LONGEST_READ
    if not statements and not cut:
        return None
    held = [_held(statement) for statement in statements]
    query = replace(_together([_judged(one, analyze) for one in held], analyze), fingerprint=number)
    if cut:
        return Subject(_of_beginning(query, text), "", _inside(held))
    if len(held) > 1:
        return Subject(query, "", _inside(held))
    return Subject(query, held[0].text, _inside(held) if _wraps(statements[0]) else frozenset())


def _together(queries: Sequence[Query], analyze: Analyze) -> Query:
    if len(queries) < 2:
        return queries[0] if queries else analyze("")
    return replace(
        max(queries, key=lambda one: one.complexity.score),
        kind=max((one.kind for one in queries), key=STRENGTH.__getitem__),
        read_only=all(map(writes_nothing, queries)),
        reads=tuple(sorted({relation for one in queries for relation in one.reads})),
        parsed=all(one.parsed for one in queries),
        statements=len(queries),
        unqualified=any(one.unqualified for one in queries),
        ddl=any(one.ddl for one in queries),
    )


def _of_beginning(query: Query, text: str) -> Query:
    """What is said of a text by its beginning, and by the words of all of it."""
    kind = Kind.UTILITY if query.kind in _HARMLESS else query.kind
    unqualified, ddl = skim(text)
    return replace(
        query, kind=kind, read_only=False, parsed=False, unqualified=unqualified, ddl=ddl
    )


def _wraps(statement: Statement) -> bool:
    return statement.words[0] in {"declare", "prepare", "explain"}


def _inside(held: Sequence[Statement]) -> frozenset[int]:
    """What PREPARE and DECLARE hold is run later, and what EXPLAIN ANALYZE explains now."""
    run = [
        explained(one).statement if one.words[0] == "explain" and explained(one).runs else one
        for one in held
    ]
    return frozenset(fingerprint(one.text) for one in run)


def writes_nothing(query: Query) -> bool:
    """Whether a statement only reads, or is of a kind that writes nothing though it is no read.

    PREPARE and DECLARE are judged by what they hold.
    """
    return query.read_only or query.kind in _HARMLESS


def _judged(statement: Statement, analyze: Analyze) -> Query:
    query = analyze(statement.text)
    first = statement.words[:1]
    if first == ("execute",):
        return replace(query, kind=Kind.SESSION)
    if is_do(statement):
        return replace(query, ddl=True)
    if first == ("explain",) and not explained(statement).runs:
        return replace(query, complexity=_NO_COMPLEXITY, read_only=True)
    return query


def _held(statement: Statement) -> Statement:
    """The statement inside a PREPARE or a DECLARE CURSOR; else the statement itself."""
    inner = None
    if statement.words[0] == "declare":
        inner = declared(statement)
    elif statement.words[0] == "prepare":
        inner = prepared(statement)  # None for PREPARE TRANSACTION
    return inner if inner is not None and inner.tokens else statement
