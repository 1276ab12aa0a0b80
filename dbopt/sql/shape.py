"""Questions about the shape of a tree that the complexity score asks."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.columns import folded

_NEGATED = (exp.In, exp.Like, exp.ILike, exp.Between, exp.SimilarTo, exp.RegexpLike)


def join_kind(join: exp.Join) -> str:
    """Which join of [complexity] this is; "" for a comma, where WHERE decides."""
    joined = join.this
    if isinstance(joined, exp.Lateral | exp.Unnest) or _is_function(joined):
        return "lateral_join"
    if join.kind == "CROSS" or _on_true(join):
        return "cross_join"
    if join.side:
        return "outer_join"
    if join.method == "NATURAL" or join.args.get("on") or join.args.get("using"):
        return "join"
    return ""


def _is_function(joined: exp.Expr) -> bool:
    return isinstance(joined, exp.Table) and not isinstance(joined.this, exp.Identifier)


def _on_true(join: exp.Join) -> bool:
    on = join.args.get("on")
    return isinstance(on, exp.Boolean) and bool(on.this)


def is_aggregate_row(select: exp.Select) -> bool:
    """Whether the result is one row: aggregates and no GROUP BY."""
    if select.args.get("group") is not None:
        return False
    return any(
        not isinstance(found.parent, exp.Window) and found.find_ancestor(exp.Select) is select
        for item in select.expressions
        for found in item.find_all(exp.AggFunc)
    )


def mixes_columns(condition: exp.Or) -> bool:
    """Whether the sides of OR look at different columns, so that no one index serves them."""
    seen: tuple[str, str] | None = None
    for column in condition.find_all(exp.Column):
        name = (column.table.lower(), folded(column.this))
        if seen is not None and name != seen:
            return True
        seen = name
    return False


def is_negated(node: exp.Expr) -> bool:
    """Whether it asks for all rows but some, which no index finds: <>, NOT LIKE, NOT IN (list)."""
    if isinstance(node, exp.NEQ | exp.NullSafeNEQ):
        return True
    if isinstance(node, exp.Not):
        return isinstance(node.this.unnest(), _NEGATED) and not excludes_subquery(node)
    return isinstance(node, _NEGATED) and bool(node.args.get("negate"))


def is_range(node: exp.Expr) -> bool:
    """Whether it compares a column with a constant, by < and the like or BETWEEN."""
    if isinstance(node, exp.Between):
        return True
    if not isinstance(node, exp.GT | exp.GTE | exp.LT | exp.LTE):
        return False
    return isinstance(node.this, exp.Column) != isinstance(node.expression, exp.Column)


def excludes_subquery(node: exp.Expr) -> bool:
    """Whether it is NOT IN (SELECT ...) or <> ALL (SELECT ...): no join, because of NULL."""
    if isinstance(node, exp.Not):
        inner = node.this.unnest()
        return isinstance(inner, exp.In) and inner.args.get("query") is not None
    return isinstance(node, exp.NEQ) and isinstance(node.expression, exp.All)


def list_length(node: exp.Expr) -> int:
    """How many constants a list has: IN (...), = ANY (ARRAY[...])."""
    if isinstance(node, exp.In):
        return len(node.expressions)
    if isinstance(node, exp.EQ) and isinstance(node.expression, exp.Any):
        inner = node.expression.this
        while isinstance(inner, exp.Paren | exp.Cast):
            inner = inner.this
        return len(inner.expressions) if isinstance(inner, exp.Array) else 0
    return 0


def conjuncts(condition: exp.Expr | None) -> Iterator[exp.Expr]:
    """The parts that AND joins; none of no condition."""
    return _parts(condition, exp.And) if condition is not None else iter(())


def alternatives(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts that OR joins."""
    return _parts(condition, exp.Or)


def _parts(condition: exp.Expr, joiner: type[exp.Connector]) -> Iterator[exp.Expr]:
    todo = [condition]
    while todo:
        part = todo.pop()
        while isinstance(part, exp.Paren):
            part = part.this
        if isinstance(part, joiner):
            todo.extend((part.expression, part.this))
        else:
            yield part
