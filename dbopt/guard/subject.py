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
from dbopt.sql.parse import LONGEST_PARSED, LONGEST_READ, Statement, split
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

    `number` is the text's own fingerprint, which the lists and the quarantine go by.
    """
    if len(text) > LONGEST_PARSED:
        return Subject(replace(_long(text, analyze), fingerprint=number), "")
    statements = split(text)
    if not statements:
        return None
    held = [_held(statement) for statement in statements]
    if len(held) == 1:
        query = replace(_judged(held[0], analyze), fingerprint=number)
        return Subject(query, held[0].text, _inside(held) if _wraps(statements[0]) else frozenset())
    whole = analyze(";\n".join(one.text for one in held))
    read_only = all(_writes_nothing(_judged(one, analyze)) for one in held)
    ddl = whole.ddl or any(map(is_do, held))
    query = replace(whole, fingerprint=number, read_only=read_only, ddl=ddl)
    return Subject(query, "", _inside(held))


def _wraps(statement: Statement) -> bool:
    return statement.words[0] in {"declare", "prepare", "explain"}


def _inside(held: Sequence[Statement]) -> frozenset[int]:
    """What PREPARE and DECLARE hold is run later, and what EXPLAIN ANALYZE explains now."""
    run = [
        explained(one).statement if one.words[0] == "explain" and explained(one).runs else one
        for one in held
    ]
    return frozenset(fingerprint(one.text) for one in run)


def _long(text: str, analyze: Analyze) -> Query:
    """Of a text that is not looked into: a PREPARE in it may hold a write."""
    query, skimmed = analyze(text), skim(text)
    if query.kind in _HARMLESS:
        query = replace(query, kind=Kind.UTILITY)
    if len(text) > LONGEST_READ:  # what was made of its beginning may be wrong
        return replace(query, unqualified=skimmed.unqualified, ddl=skimmed.ddl)
    return replace(query, ddl=query.ddl or skimmed.ddl)


def _writes_nothing(query: Query) -> bool:
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
