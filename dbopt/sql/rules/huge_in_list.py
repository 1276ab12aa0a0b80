"""A long list of constants after IN: every length of it is another statement."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import compares_as_real, enclosed, is_rewritable, replaced
from dbopt.sql.rules.render import printed
from dbopt.sql.rules.sources import column_of, sources, statement_of
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

LONGEST_LIST = 100
"""Items. A longer list is better one array."""


def _check(subject: Subject) -> Iterator[Match]:
    for node in subject.tree.find_all(exp.In) if subject.tree is not None else ():
        items = node.expressions
        if len(items) > LONGEST_LIST:
            negated = isinstance(node.parent, exp.Not)
            yield Match(
                subject,
                f"{'NOT IN' if negated else 'IN'} with a list of {len(items)} items.",
                node.parent if negated else node,
                _rewrite(subject, node),
                _remedy(subject, node, negated),
                evidence={"items": len(items)},
            )


def _remedy(subject: Subject, node: exp.In, negated: bool) -> str:
    if isinstance(node.this, exp.Tuple):
        return "Join with (VALUES (...), ...) AS wanted (...), or with unnest($1, $2)."
    test = "<> ALL ($1)" if negated else "= ANY ($1)"
    value = printed(subject, node.this)
    return f"Send the items as one array parameter: {value} {test}."


def _rewrite(subject: Subject, node: exp.In) -> str:
    if not is_rewritable(subject) or not _has_arrays(subject, node.this):
        return ""
    array = _array(node.expressions)
    if array is None or not isinstance(node.this, exp.Column):
        return ""
    if compares_as_real(subject, node.this, node.expressions):
        return ""
    value, negation = node.this.copy(), node.parent
    if isinstance(negation, exp.Not):
        every = exp.Anonymous(this="ALL", expressions=[array])
        test = exp.NEQ(this=value, expression=every)
        return replaced(subject, (negation, enclosed(test, negation)))
    some = exp.Any(this=exp.Paren(this=array))
    return replaced(subject, (node, enclosed(exp.EQ(this=value, expression=some), node)))


def _has_arrays(subject: Subject, value: exp.Expr) -> bool:
    """Whether the column's type can be an array's element, written with commas between."""
    owner = statement_of(value)
    known = column_of(value, sources(owner, subject.schema)) if owner is not None else None
    return known is None or not (known.type.endswith("]") or known.type == "box")


def _array(items: list[exp.Expr]) -> exp.Expr | None:
    """The items as one array of the same meaning, None where their types could come out other.

    Strings have no type of their own: IN gives them the column's, and so it does to '{...}', but
    ARRAY['x'] would be text[].
    """
    if not all(isinstance(item, exp.Literal) for item in items):
        return None
    values = [str(item.this) for item in items]
    if all(item.is_string for item in items):
        return exp.Literal.string("{" + ",".join(map(_element, values)) + "}")
    if not any(item.is_string for item in items) and all(value.isdigit() for value in values):
        return exp.Array(expressions=[item.copy() for item in items])
    return None


def _element(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


RULE = Rule(
    name="huge-in-list",
    severity=Severity.WARNING,
    summary=f"IN with more than {LONGEST_LIST} items.",
    reason=(
        "The whole list is parsed and planned at each execution, and each length of it is another "
        "statement: for a prepared statement's plan, and before PostgreSQL 18 for "
        "pg_stat_statements too. The planner looks at every item to estimate the rows."
    ),
    remedy="Send the items as one array parameter: column = ANY ($1).",
    fires="SELECT name FROM users WHERE id IN (0@)".replace("@", ", 7" * LONGEST_LIST),
    passes="SELECT name FROM users WHERE id = ANY ($1)",
    check=_check,
)
