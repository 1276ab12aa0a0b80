"""`a = 1 OR a = 2` is `a IN (1, 2)`, which one look into an index answers."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import compares_as_real, enclosed, replaced
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_FEWEST = 2


def _check(subject: Subject) -> Iterator[Match]:
    for node in subject.tree.find_all(exp.Or) if subject.tree is not None else ():
        if isinstance(node.parent, exp.Or) or not _decides(node):
            continue
        found = _alternatives(node)
        if found is None:
            continue
        column, values = found
        yield Match(
            subject,
            f"{len(values)} alternatives for one column, {column.name}, joined by OR.",
            node,
            _rewrite(subject, node, column, values),
            evidence={"column": column.name, "alternatives": len(values)},
        )


def _decides(node: exp.Expr) -> bool:
    """Whether it is asked which rows there are: elsewhere no index is at stake."""
    holder = node.find_ancestor(exp.Where, exp.Join, exp.Query)
    return isinstance(holder, exp.Where | exp.Join)


def _alternatives(node: exp.Or) -> tuple[exp.Column, list[exp.Expr]] | None:
    """The column and the values that it may equal, if the whole OR says nothing else."""
    column: exp.Column | None = None
    values: list[exp.Expr] = []
    for side in node.flatten():
        part = side.unnest()
        if not isinstance(part, exp.EQ) or not isinstance(part.this, exp.Column):
            return None
        if column is not None and part.this != column:
            return None
        column = part.this
        values.append(part.expression)
    alike = len({_sort(value) for value in values}) == 1 and _sort(values[0]) != ""
    return (column, values) if column is not None and alike and len(values) >= _FEWEST else None


def _sort(value: exp.Expr) -> str:
    """Values of one sort get one type in IN, the same as each would alone; else ""."""
    if isinstance(value, exp.Parameter | exp.Placeholder):
        return "parameter"
    if isinstance(value, exp.Literal):
        if value.is_string:
            return "string"
        return "integer" if str(value.this).isdigit() else ""
    return ""


def _rewrite(subject: Subject, node: exp.Or, column: exp.Column, values: list[exp.Expr]) -> str:
    if compares_as_real(subject, column, values):
        return ""
    listed = exp.In(this=column.copy(), expressions=[value.copy() for value in values])
    whole = node.parent if isinstance(node.parent, exp.Paren) else node
    return replaced(subject, (whole, enclosed(listed, whole)))


RULE = Rule(
    name="or-for-in",
    severity=Severity.INFO,
    summary="OR between values of one column.",
    reason=(
        "Before PostgreSQL 18 each side of the OR is an index scan and a bitmap of its own, and "
        "an index scan in the order of a sort is out of reach. An IN list is one condition, which "
        "one index scan answers."
    ),
    remedy="Write column IN (...), or column = ANY ($1) with one array parameter.",
    fires="SELECT id FROM orders WHERE state = 'new' OR state = 'paid'",
    passes="SELECT id FROM orders WHERE state = 'new' OR total = 0",
    check=_check,
)
