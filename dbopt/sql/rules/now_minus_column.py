"""`now() - column > interval`: computed for each row, so no index on the column helps."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import Scopes, replaced
from dbopt.sql.rules.render import printed
from dbopt.sql.rules.sources import statement_of
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_TURNED: dict[type[exp.Expr], type[exp.Binary]] = {
    exp.GT: exp.LT,
    exp.GTE: exp.LTE,
    exp.LT: exp.GT,
    exp.LTE: exp.GTE,
}
_EXACT = frozenset({"HOUR", "HOURS", "MINUTE", "MINUTES", "SECOND", "SECONDS"})
"""Units of one length always. A day has 23 to 25 hours, and `now() - column` counts 24 for each."""
_MOMENTS = frozenset({"timestamp with time zone", "timestamp without time zone"})


def _check(subject: Subject) -> Iterator[Match]:
    scopes = Scopes(subject.schema)
    for node in subject.tree.find_all(*_TURNED) if subject.tree is not None else ():
        if not isinstance(node, exp.Binary) or not _is_condition(node):
            continue
        column = _aged(node.this)
        if column is None or node.expression.find(exp.Column, exp.Query) is not None:
            continue
        yield Match(
            subject,
            f"The age of {column.name} is computed for each row: no index on it can be used.",
            node,
            _rewrite(subject, node, column, scopes),
            _remedy(subject, node, column),
        )


def _is_condition(node: exp.Expr) -> bool:
    parent = node.parent
    while isinstance(parent, exp.Paren | exp.Connector | exp.Not):
        parent = parent.parent
    return isinstance(parent, exp.Where | exp.Join)


def _aged(node: exp.Expr) -> exp.Column | None:
    """The column of `now() - column` or `age(column)`."""
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.Sub) and isinstance(node.this, exp.CurrentTimestamp):
        return node.expression if isinstance(node.expression, exp.Column) else None
    if isinstance(node, exp.Anonymous) and node.name.lower() == "age":
        arguments = node.expressions
        if len(arguments) == 1 and isinstance(arguments[0], exp.Column):
            return arguments[0]
    return None


def _turned(node: exp.Binary, column: exp.Column) -> exp.Expr:
    """The same with the column alone on its side."""
    length = node.expression.copy()
    since = exp.Sub(this=exp.CurrentTimestamp(), expression=length)
    return _TURNED[type(node)](this=column.copy(), expression=since)


def _remedy(subject: Subject, node: exp.Binary, column: exp.Column) -> str:
    if not isinstance(node.this.unnest(), exp.Sub):
        return ""
    better = printed(subject, _turned(node, column))
    return f"Compare the column itself: {better}."


def _rewrite(subject: Subject, node: exp.Binary, column: exp.Column, scopes: Scopes) -> str:
    """Only for lengths in hours or less of a column that is known to be a moment."""
    owner = statement_of(node)
    known = scopes.column(column, owner) if owner is not None else None
    if known is None or known.type not in _MOMENTS or not _is_exact(node):
        return ""
    return replaced(subject, (node, _turned(node, column)))


def _is_exact(node: exp.Binary) -> bool:
    length = node.expression
    if not isinstance(node.this.unnest(), exp.Sub) or not isinstance(length, exp.Interval):
        return False
    amount, unit = length.this, length.args.get("unit")
    plain = isinstance(amount, exp.Literal) and str(amount.this).isdigit()
    return plain and isinstance(unit, exp.Var) and unit.name.upper() in _EXACT


RULE = Rule(
    name="now-minus-column",
    severity=Severity.WARNING,
    summary="A condition on now() minus a column.",
    reason=(
        "An index holds the column's values, not what is computed of them, so every row is read "
        "and its age computed. The planner has no statistics of the difference either, and "
        "guesses that a third of the rows match."
    ),
    remedy="Leave the column alone on one side: column < now() - interval '1 day'.",
    fires="SELECT id FROM users WHERE now() - created_at > interval '36 hours'",
    passes="SELECT id FROM users WHERE created_at < now() - interval '36 hours'",
    check=_check,
)
