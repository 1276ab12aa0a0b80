"""arithmetic-on-column: `x + 1 > 10` makes no use of an index of x; `x > 9` does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.indexed import (
    COMPARISONS,
    FLIPPED,
    compared,
    defeats_index,
    type_name,
    unqualified,
)
from dbopt.sql.rules.predicates import (
    Scopes,
    as_column,
    bare,
    column_name,
    is_constant,
    predicates,
    replaced,
)
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.schema import SchemaColumn
from dbopt.sql.script import Subject

_OPERATORS = (exp.Add, exp.Sub, exp.Mul, exp.Div)
_INTEGERS = frozenset({"SMALLINT", "INT", "BIGINT"})
_ARITHMETIC = _INTEGERS | {
    *("DECIMAL", "DOUBLE", "FLOAT", "DATE", "TIME", "TIMESTAMP", "TIMESTAMPTZ", "INTERVAL"),
}
"""Types whose minus is a subtraction: of jsonb it takes a key away."""
_LARGEST = 2**31


class _Sum(NamedTuple):
    """`column + value`, `column - value` or `value - column`: the last has `reversed`."""

    column: exp.Column
    value: exp.Expr
    reversed: bool


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    for node, statement in predicates(subject.tree):
        if not isinstance(node, COMPARISONS):
            continue
        for side, constant, operator in compared(node):
            found = _sum(side)
            if found is None:
                continue
            message = f"Arithmetic keeps the condition on {column_name(found.column)} from an index"
            if subject.schema is None:
                if _is_number(found.value):
                    message = f"{message}, if there is one."
                    yield Match(subject, message, side, severity=Severity.INFO)
                continue
            known = scopes.column(found.column, statement)
            if known is not None and _defeats(subject, scopes, statement, side, known):
                better = _solved(side, found, constant, operator, known)
                rewrite = replaced(subject, (node, better)) if better is not None else ""
                yield Match(subject, f"{message}.", side, rewrite)


def _sum(side: exp.Expr) -> _Sum | None:
    """The column and the constant of an operation on these two alone."""
    if not isinstance(side, _OPERATORS):
        return None
    left, right = bare(side.this), bare(side.expression)
    if left is None or right is None:
        return None
    column, other = as_column(left), as_column(right)
    if column is not None and is_constant(right):
        return _Sum(column, right, False)
    return _Sum(other, left, True) if other is not None and is_constant(left) else None


def _is_number(value: exp.Expr) -> bool:
    """Whether a constant is a number or an interval, so that its column is none of jsonb."""
    return isinstance(value, exp.Interval) or (
        isinstance(value, exp.Literal) and not value.is_string
    )


def _defeats(
    subject: Subject, scopes: Scopes, statement: exp.Expr, side: exp.Expr, known: SchemaColumn
) -> bool:
    relation = scopes.relation(side.find(exp.Column), statement)
    if relation is None or type_name(known.type) not in _ARITHMETIC:
        return False
    return defeats_index(relation, known.name, [unqualified(subject, side)])


def _solved(
    side: exp.Expr,
    found: _Sum,
    constant: exp.Expr | None,
    operator: type[exp.Expr],
    known: SchemaColumn,
) -> exp.Expr | None:
    """The comparison of the column alone. Only of integers is it surely the same: where the sum
    would have been out of range, this one has an answer."""
    added, wanted = _integer(found.value), _integer(constant)
    if added is None or wanted is None or type_name(known.type) not in _INTEGERS:
        return None
    if isinstance(side, exp.Add):
        value = wanted - added
    elif isinstance(side, exp.Sub):
        value = added - wanted if found.reversed else wanted + added
        operator = FLIPPED[operator] if found.reversed else operator
    else:
        return None
    return operator(this=found.column.copy(), expression=_number(value))


def _integer(value: exp.Expr | None) -> int | None:
    value = bare(value)
    sign = -1 if isinstance(value, exp.Neg) else 1
    literal = value.this if isinstance(value, exp.Neg) else value
    if not isinstance(literal, exp.Literal) or literal.is_string:
        return None
    text = str(literal.this)
    return sign * int(text) if text.isdecimal() and int(text) < _LARGEST else None


def _number(value: int) -> exp.Expr:
    literal = exp.Literal.number(abs(value))
    return exp.Neg(this=literal) if value < 0 else literal


RULE = Rule(
    name="arithmetic-on-column",
    severity=Severity.WARNING,
    summary="Arithmetic on a column that is compared with a constant.",
    reason="An index of a column is searched for the column's values, not for a sum with them. "
    "So the sum is made for every row, and the planner guesses how many qualify.",
    remedy="Have the column stand alone: x + 1 > 10 is x > 10 - 1, and created_at + interval "
    "'1 day' > now() is created_at > now() - interval '1 day' (months and clock changes aside).",
    fires="select id from orders where quantity + 1 > 3",
    passes="select quantity + 1 from orders where quantity > 3 - 1",
    check=_check,
)
