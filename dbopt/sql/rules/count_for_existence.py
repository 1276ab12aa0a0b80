"""count-for-existence: `(SELECT count(*) ...) > 0` counts all rows to learn of one."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.indexed import FLIPPED, type_name
from dbopt.sql.rules.predicates import Scopes, as_column, bare, enclosed, replaced
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_MEANS: dict[tuple[type[exp.Expr], str], bool] = {
    (exp.GT, "0"): True,
    (exp.GTE, "1"): True,
    (exp.NEQ, "0"): True,
    (exp.EQ, "0"): False,
    (exp.LT, "1"): False,
    (exp.LTE, "0"): False,
}
"""A count compared with a constant, and whether that asks for a row or for none."""
_FLIPPED = {**FLIPPED, exp.NEQ: exp.NEQ}
_NOT_ALLOWED = (
    "group",
    "having",
    "limit",
    "offset",
    "distinct",
    "windows",
    "order",
    "locks",
    "into",
)
_UNNAMED = exp.to_identifier("?column?", quoted=True)
"""The name that PostgreSQL gives to an output that has none."""
_MESSAGE = "All rows are counted, only to learn whether there is one."


def _check(subject: Subject) -> Iterator[Match]:
    if subject.tree is None:
        return
    scopes = Scopes(subject.schema)
    for node in subject.tree.find_all(exp.GT, exp.GTE, exp.LT, exp.LTE, exp.EQ, exp.NEQ):
        asked = _asked(node)
        if asked is None:
            continue
        side, wanted = asked
        if isinstance(side, exp.Subquery) and _is_count(side.this):
            known = _is_null_alone(side.this, side.this.expressions[0].unalias(), scopes)
            rewrite = _existence(subject, node, side.this, wanted) if known else ""
            yield Match(subject, _MESSAGE, node, rewrite)
        elif isinstance(side, exp.Count) and (select := _only_output(node)) is not None:
            known = _is_null_alone(select, side, scopes)
            rewrite = _select_existence(subject, node, select, wanted) if known else ""
            yield Match(subject, _MESSAGE, node, rewrite)


def _asked(node: exp.Expr) -> tuple[exp.Expr, bool] | None:
    """The side of a comparison that may be a count, and whether a row or none is asked for."""
    left, right = bare(node.this), bare(node.expression)
    sides = ((left, right, type(node)), (right, left, _FLIPPED[type(node)]))
    for side, constant, operator in sides:
        if isinstance(constant, exp.Literal) and not constant.is_string and side is not None:
            wanted = _MEANS.get((operator, str(constant.this)))
            return None if wanted is None else (side, wanted)
    return None


def _is_count(select: exp.Expr | None) -> bool:
    """Whether this is `SELECT count(...) FROM ...` and nothing else."""
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return False
    return _counts(select.expressions[0].unalias()) and _is_plain(select)


def _is_plain(select: exp.Select) -> bool:
    named = [select.args.get(part) for part in _NOT_ALLOWED]
    return select.args.get("from_") is not None and not any(named)


def _counts(node: exp.Expr) -> bool:
    """Whether this counts rows, or a column's values."""
    if not isinstance(node, exp.Count) or node.expressions:
        return False
    counted = node.this
    constant = isinstance(counted, exp.Literal | exp.Star)
    return constant or (isinstance(counted, exp.Column) and not counted.is_star)


def _is_null_alone(select: exp.Select, count: exp.Expr, scopes: Scopes) -> bool:
    """Whether what is counted is NULL just where IS NULL says so.

    It also says so of a whole row, or a value of a composite type, with nothing but NULLs in it,
    and count() counts that. Of a type that sqlglot does not know that cannot be told.
    """
    if not isinstance(count.this, exp.Column):
        return True
    known = scopes.column(as_column(count.this), select)
    return known is not None and type_name(known.type) not in {"", "USERDEFINED"}


def _only_output(node: exp.Expr) -> exp.Select | None:
    """The SELECT whose one output is this comparison of a count."""
    output = node.parent if isinstance(node.parent, exp.Alias) else node
    select = output.parent if output.arg_key == "expressions" else None
    if not isinstance(select, exp.Select) or len(select.expressions) != 1:
        return None
    counted = bare(node.this) if isinstance(bare(node.this), exp.Count) else bare(node.expression)
    plain = _is_plain(select) and not select.args.get("with_")
    return select if plain and counted is not None and _counts(counted) else None


def _exists(select: exp.Select, count: exp.Expr | None) -> exp.Expr:
    inner = select.copy()
    inner.set("expressions", [exp.Literal.number(1)])
    if count is not None and isinstance(count.this, exp.Column):
        known = exp.Is(this=count.this.copy(), expression=exp.Null(), negate=True)
        inner = inner.where(known, copy=False)
    return exp.Exists(this=inner)


def _existence(subject: Subject, node: exp.Expr, select: exp.Select, wanted: bool) -> str:
    return replaced(subject, (node, _test(node, select, wanted)))


def _test(node: exp.Expr, select: exp.Select, wanted: bool) -> exp.Expr:
    """EXISTS in place of the comparison, with the name that it has had as an output."""
    found = _exists(select, select.expressions[0].unalias())
    if wanted:
        unnamed = isinstance(node.parent, exp.Select)
        return exp.Alias(this=found, alias=_UNNAMED.copy()) if unnamed else found
    return enclosed(exp.Not(this=found), node)


def _select_existence(subject: Subject, node: exp.Expr, select: exp.Select, wanted: bool) -> str:
    left, right = bare(node.this), bare(node.expression)
    found = _exists(select, left if isinstance(left, exp.Count) else right)
    named = (
        node.parent.args["alias"].copy() if isinstance(node.parent, exp.Alias) else _UNNAMED.copy()
    )
    output = exp.Alias(this=found if wanted else exp.Not(this=found), alias=named)
    return replaced(subject, (select, exp.Select(expressions=[output])))


RULE = Rule(
    name="count-for-existence",
    severity=Severity.WARNING,
    summary="A count of rows that is only compared with none.",
    reason="count(*) reads every row that qualifies: PostgreSQL keeps no count, and visits each "
    "for its visibility. EXISTS stops at the first.",
    remedy="Ask with EXISTS (SELECT 1 FROM ... WHERE ...), or NOT EXISTS where none is wanted.",
    fires="select id from users u where (select count(*) from orders o where o.user_id = u.id) > 0",
    passes="select user_id from orders group by user_id having count(*) > 0",
    check=_check,
)
