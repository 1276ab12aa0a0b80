"""function-on-indexed-column: `lower(email) = $1` makes no use of an index of email."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.findings import Severity
from dbopt.sql.rules import ranges
from dbopt.sql.rules.indexed import (
    COMPARISONS,
    compared,
    defeats_index,
    missing_index,
    only_column,
    type_name,
    unqualified,
)
from dbopt.sql.rules.predicates import Scopes, as_column, column_name, predicates, replaced
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.schema import SchemaColumn
from dbopt.sql.script import Subject

_OF_TIME = (exp.Date, exp.TimestampTrunc, exp.DateTrunc, exp.Extract, exp.TimeToStr)
_OF_TEXT = (exp.Lower, exp.Upper, exp.Trim, exp.Substring, exp.Left, exp.Right, exp.Length)
_OTHERS = (exp.Coalesce, exp.Abs, exp.Round, exp.Floor, exp.Ceil, exp.MD5, exp.Replace)
_CALLS = (*_OF_TIME, *_OF_TEXT, *_OTHERS, exp.Cast)
_NAMES: dict[type[exp.Expr], str] = {exp.TimestampTrunc: "date_trunc", exp.TimeToStr: "to_char"}
_TEXT = frozenset({"TEXT", "VARCHAR"})
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMPTZ"})
_CASTS = _TIMES | {"INT", "BIGINT", "SMALLINT", "DECIMAL", "DOUBLE", "UUID", "TIME"}
"""Casts that are worth a word where the column's type is not known."""


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    for node, statement in predicates(subject.tree):
        if not isinstance(node, COMPARISONS):
            continue
        for call, *_ in compared(node):
            column = only_column(call)
            if column is None or not isinstance(call, _CALLS) or _is_cast_of_less(call):
                continue
            if subject.schema is None:
                if _may_matter(call):
                    remedy = _index_remedy(subject, scopes, statement, call, None)
                    message = f"{_message(call)}, if it has one."
                    yield Match(subject, message, call, "", remedy, Severity.INFO)
                continue
            known = scopes.column(column, statement)
            if known is not None and _defeats(subject, scopes, statement, call, known):
                yield _found(subject, scopes, statement, node, call, known)


def _found(
    subject: Subject,
    scopes: Scopes,
    statement: exp.Expr,
    node: exp.Expr,
    call: exp.Expr,
    known: SchemaColumn,
) -> Match:
    better = ranges.half_open(node, type_name(known.type))
    rewrite = replaced(subject, (node, better)) if better is not None else ""
    remedy = _index_remedy(subject, scopes, statement, call, known)
    return Match(subject, f"{_message(call)}.", call, rewrite, remedy)


def _defeats(
    subject: Subject, scopes: Scopes, statement: exp.Expr, call: exp.Expr, known: SchemaColumn
) -> bool:
    relation = scopes.relation(only_column(call), statement)
    if relation is None or (isinstance(call, exp.Cast) and _says_nothing(call, known)):
        return False
    forms = [unqualified(subject, call)]
    if _makes_date(call):
        inner = unqualified(subject, call.this)
        forms = [f"date({inner})", f"({inner})::date"]
    return defeats_index(relation, known.name, forms)


def _makes_date(call: exp.Expr) -> bool:
    """`date(x)` and `x::date` are one call to the planner."""
    is_cast = isinstance(call, exp.Cast) and call.to.this == exp.DataType.Type.DATE
    return is_cast or (isinstance(call, exp.Date) and not call.expressions)


def _is_cast_of_less(call: exp.Expr) -> bool:
    """`(x + 1)::date`, `(data->>'n')::int`: more than the cast is in the index's way."""
    return isinstance(call, exp.Cast) and as_column(call.this) is None


def _may_matter(call: exp.Expr) -> bool:
    """A varchar is compared as text without its index being lost, so a cast to text may be none."""
    return not isinstance(call, exp.Cast) or call.to.this.name in _CASTS


def _says_nothing(cast: exp.Cast, known: SchemaColumn) -> bool:
    """Whether the server drops the cast: to the column's own type, or between texts."""
    here, there = type_name(known.type), cast.to.this.name
    if here in _TEXT and there in _TEXT:
        return not cast.to.expressions
    return here == there or not here


def _message(call: exp.Expr) -> str:
    if isinstance(call, exp.Cast):
        what = "The cast"
    else:
        what = f"{_NAMES.get(type(call), call.key)}()"
    return f"{what} keeps the condition on {column_name(call)} from its index"


def _index_remedy(
    subject: Subject,
    scopes: Scopes,
    statement: exp.Expr,
    call: exp.Expr,
    known: SchemaColumn | None,
) -> str:
    """The range where the call is of time, else the index that is missing."""
    column = only_column(call)
    name = folded(column.this) if column is not None else "c"
    if isinstance(call, exp.Extract) and call.this.name.upper() != "YEAR":
        return _PART
    if isinstance(call, _OF_TIME) or (isinstance(call, exp.Cast) and call.to.this.name in _TIMES):
        return _RANGE.format(column=name)
    if isinstance(call, exp.Cast):
        of = f" ({known.type})" if known is not None else ""
        return f"Cast the other side to the column's type{of}, not the column."
    if isinstance(call, (*_OF_TEXT, *_OTHERS)):
        index = missing_index(subject, scopes, statement, call)
        return f"Index the expression: {index}; or compare the column itself." if index else ""
    return ""


_PART = (
    "No range of the column is all Mondays, or every May: index the expression, if it is immutable "
    "(of a timestamptz it is with AT TIME ZONE 'UTC' or another fixed zone)."
)
_RANGE = (
    "Compare the column with a half-open range: {column} >= :start AND {column} < :end, where "
    ":end is the start of the next day, month or year."
)


RULE = Rule(
    name="function-on-indexed-column",
    severity=Severity.WARNING,
    summary="A function or cast over a column that has an index.",
    reason="An index of a column is sorted by the column's values, not by what a function makes "
    "of them. So the function is called for every row, and the planner guesses how many qualify, "
    "since it has no statistics of the result.",
    remedy="Compare the column itself (with a range, or with the other side cast), or index the "
    "expression: CREATE INDEX CONCURRENTLY ON t (lower(c)).",
    fires="select id from users where lower(email) = $1",
    passes="select lower(email) from users where email = lower($1)",
    check=_check,
)
