"""`= NULL` is never true, and one NULL in NOT IN makes it never true."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.render import printed
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_SIGNS: dict[type[exp.Expr], str] = {
    exp.EQ: "=",
    exp.NEQ: "<>",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
}
_ASSIGNING = (exp.Update, exp.OnConflict)


def _check(subject: Subject) -> Iterator[Match]:
    for node in subject.tree.walk() if subject.tree is not None else ():
        if type(node) in _SIGNS and not _assigns(node):
            yield from _comparison(subject, node)
        elif isinstance(node, exp.In) and any(map(_is_null, node.expressions)):
            yield _in(subject, node)
        elif isinstance(node, exp.Case) and node.this is not None:
            yield from _case(subject, node)


def _comparison(subject: Subject, node: exp.Expr) -> Iterator[Match]:
    sign = _SIGNS[type(node)]
    for side, other in ((node.expression, node.this), (node.this, node.expression)):
        if _is_null(side):
            message = f"`{sign} NULL` gives NULL for every row, never true."
            yield Match(subject, message, node, remedy=_instead(subject, node, other))
            return


def _instead(subject: Subject, node: exp.Expr, value: exp.Expr) -> str:
    if not isinstance(node, exp.EQ | exp.NEQ) or _is_null(value):
        return ""
    test = "IS NULL" if isinstance(node, exp.EQ) else "IS NOT NULL"
    return f"Write {printed(subject, value)} {test}; it gives other rows, so check what is meant."


def _in(subject: Subject, node: exp.In) -> Match:
    if isinstance(node.parent, exp.Not):
        message = "NOT IN with a NULL in its list is never true: no row passes."
        remedy = "Take NULL out of the list; add `AND column IS NOT NULL` if NULLs shall not pass."
        return Match(subject, message, node.parent, remedy=remedy)
    message = "The NULL in the list matches nothing, not even a NULL."
    value = printed(subject, node.this)
    return Match(subject, message, node, remedy=f"Add `OR {value} IS NULL`, or drop the NULL.")


def _case(subject: Subject, case: exp.Case) -> Iterator[Match]:
    for branch in case.args.get("ifs") or ():
        if _is_null(branch.this):
            value = printed(subject, case.this)
            remedy = f"Write CASE WHEN {value} IS NULL THEN ..., with no value after CASE."
            message = "CASE compares by `=`: its branch WHEN NULL is never taken."
            yield Match(subject, message, branch, remedy=remedy)


def _assigns(node: exp.Expr) -> bool:
    return isinstance(node.parent, _ASSIGNING) and node.arg_key == "expressions"


def _is_null(node: exp.Expr | None) -> bool:
    while isinstance(node, exp.Paren | exp.Cast):
        node = node.this
    return isinstance(node, exp.Null)


RULE = Rule(
    name="null-comparison",
    severity=Severity.WARNING,
    summary="A comparison with NULL is never true.",
    reason=(
        "Comparing anything with NULL by =, <>, <, > or IN gives NULL, and WHERE keeps a row only "
        "if its condition is true. So `= NULL` finds nothing, and NOT IN with a NULL in its list "
        "finds nothing at all (PostgreSQL documentation, 9.2 and 9.25)."
    ),
    remedy="Write IS NULL, IS NOT NULL or IS [NOT] DISTINCT FROM.",
    fires="SELECT id FROM users WHERE mail = NULL",
    passes="SELECT id FROM users WHERE mail IS NULL",
    check=_check,
)
