"""What the guard judges of a text: what PREPARE and DECLARE hold, and each statement of several.

SQL's EXECUTE runs what a PREPARE of the same client brought, which was judged then.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

from dbopt.sql.inside import declared, explained, prepared
from dbopt.sql.parse import LONGEST_PARSED, Statement, split
from dbopt.sql.query import Complexity, Kind, Query

Analyze = Callable[[str], Query]

_HARMLESS = (Kind.TRANSACTION, Kind.SESSION)
_NO_COMPLEXITY = Complexity(0, "simple", ())


class Subject(NamedTuple):
    """What is judged, and the text that the planner may be asked about; "" where there is none."""

    query: Query
    sql: str


def subject(text: str, fingerprint: int, analyze: Analyze) -> Subject | None:
    """A text as the guard takes it; None where it holds no statement. Never raises.

    `fingerprint` is the text's own, which the lists and the quarantine go by.
    """
    if len(text) > LONGEST_PARSED:
        return Subject(replace(_doubted(analyze(text)), fingerprint=fingerprint), "")
    statements = split(text)
    if not statements:
        return None
    held = [_held(statement) for statement in statements]
    if len(held) == 1:
        query = replace(_judged(held[0], analyze), fingerprint=fingerprint)
        return Subject(query, held[0].text)
    whole = analyze(";\n".join(one.text for one in held))
    read_only = all(_writes_nothing(_judged(one, analyze)) for one in held)
    return Subject(replace(whole, fingerprint=fingerprint, read_only=read_only), "")


def _doubted(query: Query) -> Query:
    """Of a text that is not read to its end: a PREPARE in it may hold a write."""
    return query if query.kind not in _HARMLESS else replace(query, kind=Kind.UTILITY)


def _writes_nothing(query: Query) -> bool:
    return query.read_only or query.kind in _HARMLESS


def _judged(statement: Statement, analyze: Analyze) -> Query:
    query = analyze(statement.text)
    first = statement.words[:1]
    if first == ("execute",):
        return replace(query, kind=Kind.SESSION)
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
