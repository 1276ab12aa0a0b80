"""`ts::date = '2024-01-31'` as a half-open range of the column itself, which its index serves.

Only for types without a time zone: in a zone whose clock was set back at midnight, a day has
hours that are not between its midnight and the next one's.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta

from sqlglot import exp

from dbopt.sql.rules.indexed import compared
from dbopt.sql.rules.predicates import as_column, is_conjunct

_day = re.compile(r"\d{4}-\d\d-\d\d").fullmatch
_ONE_DAY = timedelta(days=1)
_LAST_YEAR = 9998


def half_open(node: exp.Expr, column_type: str) -> exp.Expr | None:
    """The comparison that means the same without a call; None where none is known to.

    `column_type` is sqlglot's name: TIMESTAMP or DATE. Infinite values are ranked as they are by
    the call, and NULL gives NULL.
    """
    for call, constant, operator in compared(node):
        bounds = _bounds(call, constant, column_type)
        column = as_column(call.expression if isinstance(call, exp.Extract) else call.this)
        if bounds is None or column is None:
            return None
        build = _COMPARE.get(operator)
        found = build(column, *map(_literal, bounds)) if build is not None else None
        return exp.Paren(this=found) if found and _needs_parentheses(found, node) else found
    return None


def _bounds(
    call: exp.Expr, constant: exp.Expr | None, column_type: str
) -> tuple[date, date] | None:
    """The first day of what the constant means, and the first day after it."""
    if isinstance(call, exp.Extract) and column_type in {"TIMESTAMP", "DATE"}:
        return _year(constant) if call.this.name.upper() == "YEAR" else None
    to_date = isinstance(call, exp.Cast) and call.to.this == exp.DataType.Type.DATE
    if column_type != "TIMESTAMP" or not (to_date or isinstance(call, exp.Date)):
        return None
    day = _date(constant)
    return (day, day + _ONE_DAY) if day is not None and day.year <= _LAST_YEAR else None


def _year(constant: exp.Expr | None) -> tuple[date, date] | None:
    text = str(constant.this) if isinstance(constant, exp.Literal) else ""
    if not re.fullmatch(r"[1-9]\d{3}", text) or int(text) > _LAST_YEAR:
        return None
    return date(int(text), 1, 1), date(int(text) + 1, 1, 1)


def _date(constant: exp.Expr | None) -> date | None:
    """The day that a constant says in ISO form: DateStyle can read others in two ways."""
    if isinstance(constant, exp.Cast) and constant.to.this == exp.DataType.Type.DATE:
        constant = constant.this
    if not isinstance(constant, exp.Literal) or not constant.is_string:
        return None
    try:
        return date.fromisoformat(str(constant.this)) if _day(str(constant.this)) else None
    except ValueError:
        return None


def _literal(day: date) -> exp.Expr:
    return exp.cast(exp.Literal.string(day.isoformat()), "date")


def _needs_parentheses(found: exp.Expr, replaced: exp.Expr) -> bool:
    return isinstance(found, exp.And) and not is_conjunct(replaced)


def _within(column: exp.Expr, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.And(this=_from(column, start, end), expression=_until(column, start, end))


def _from(column: exp.Expr, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.GTE(this=column.copy(), expression=start)


def _after(column: exp.Expr, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.GTE(this=column.copy(), expression=end)


def _before(column: exp.Expr, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.LT(this=column.copy(), expression=start)


def _until(column: exp.Expr, start: exp.Expr, end: exp.Expr) -> exp.Expr:
    return exp.LT(this=column.copy(), expression=end)


_COMPARE: dict[type[exp.Expr], Callable[[exp.Expr, exp.Expr, exp.Expr], exp.Expr]] = {
    exp.EQ: _within,
    exp.GTE: _from,
    exp.GT: _after,
    exp.LT: _before,
    exp.LTE: _until,
}
