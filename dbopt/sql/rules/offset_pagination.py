"""offset-pagination: pages found by OFFSET; the key of the last row finds them at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import bare, column_name, is_column, is_constant
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_CHEAP = 100
"""Rows that may be skipped for little."""
_NO_ORDER = " Without ORDER BY, pages may overlap and rows be missed."
_KEYSET = (
    "Fetch the next page by the last row of this one. The keys must be NOT NULL and, together, "
    "unique (add the primary key as the last), with an index in their order: "
)


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    for offset in subject.tree.find_all(exp.Offset):
        query = offset.parent
        if query is not None and query.args.get("limit") and _may_be_large(offset.expression):
            order = query.args.get("order")
            message = "OFFSET reads and drops all rows of the pages before."
            if order is None:
                yield Match(subject, message + _NO_ORDER, offset)
            else:
                yield Match(subject, message, offset, remedy=_remedy(order.expressions))


def _may_be_large(value: exp.Expr | None) -> bool:
    """Whether a constant or parameter may skip many rows. `(select count(*) / 2 ...)` finds a
    median, and none of its rows is a page."""
    if not is_constant(value):
        return False
    value = bare(value)
    if isinstance(value, exp.Literal):
        return not str(value.this).isdigit() or int(value.this) >= _CHEAP
    return not isinstance(value, exp.Null)


def _remedy(keys: Sequence[exp.Expr]) -> str:
    if not all(isinstance(key, exp.Ordered) and is_column(key.this) for key in keys):
        return ""
    names = [column_name(key.this) for key in keys]
    last = [f":last_{name.rpartition('.')[2]}" for name in names]
    signs = ["<" if key.args.get("desc") else ">" for key in keys]
    if len(set(signs)) > 1:
        return f"{_KEYSET}WHERE {_by_steps(names, last, signs)}, and the same ORDER BY and LIMIT."
    left, right = ", ".join(names), ", ".join(last)
    if len(names) > 1:
        left, right = f"({left})", f"({right})"
    return f"{_KEYSET}WHERE {left} {signs[0]} {right}, and the same ORDER BY and LIMIT."


def _by_steps(names: list[str], last: list[str], signs: list[str]) -> str:
    """`a < :a OR (a = :a AND b > :b)`: rows compare in one direction only."""
    steps = []
    for at, name in enumerate(names):
        equal = [f"{names[before]} = {last[before]}" for before in range(at)]
        step = " AND ".join([*equal, f"{name} {signs[at]} {last[at]}"])
        steps.append(f"({step})" if at else step)
    return " OR ".join(steps)


RULE = Rule(
    name="offset-pagination",
    severity=Severity.WARNING,
    summary="Pages found by LIMIT and OFFSET.",
    reason="The server computes all rows before the page and throws them away, so each page costs "
    "more than the one before. Rows that come or go meanwhile shift the pages: some are seen "
    "twice, some never.",
    remedy=f"{_KEYSET}WHERE (created_at, id) < (:last_created_at, :last_id) ORDER BY created_at "
    "DESC, id DESC LIMIT n.",
    fires="select id, name from users order by created_at desc, id desc limit 20 offset $1",
    passes="select id, name from users order by score desc limit 1 offset 1",
    check=_check,
)
