"""What the conditions of a statement compare: columns, constants, parameters. PURE."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.columns import folded

FLIPPED = {"low": "high", "high": "low", "": ""}
"""The bound as it is from the other side of a comparison."""

_LOW = (exp.GT, exp.GTE)
_HIGH = (exp.LT, exp.LTE)


def pairs(node: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr, str]]:
    """What a node compares with what, and on which side of the first the second has to be."""
    if isinstance(node, exp.Between):
        yield node.this, node.args["low"], "low"
        yield node.this, node.args["high"], "high"
    elif isinstance(node, exp.In):
        yield from ((node.this, one, "") for one in node.expressions)
    elif isinstance(node, exp.Binary) and not isinstance(node, exp.Connector | exp.Dot):
        bound = "low" if isinstance(node, _LOW) else "high" if isinstance(node, _HIGH) else ""
        yield node.this, node.expression, bound


def linked(node: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Expr]]:
    """What a node says is equal, where both sides may be columns."""
    if isinstance(node, exp.EQ):
        yield node.this, node.expression
    elif isinstance(node, exp.In) and isinstance(node.args.get("query"), exp.Subquery):
        select = node.args["query"].this
        if isinstance(select, exp.Select) and len(select.expressions) == 1:
            yield node.this, select.expressions[0].unalias()


def column_in(side: exp.Expr) -> exp.Expr | None:
    """The one column that a side of a comparison is made of, if it is one."""
    columns = list(side.find_all(exp.Column)) if not side.find(exp.Query) else []
    return columns[0] if len(columns) == 1 else None


def constant(side: exp.Expr) -> tuple[str, int, bool]:
    """The constant's value, the parameter's number, and whether it is an array of them."""
    many = isinstance(side, exp.Any | exp.All)
    while isinstance(side, exp.Cast | exp.Paren | exp.Any | exp.All):
        side = side.this
    if isinstance(side, exp.Parameter):
        number = str(side.this.name)
        return ("", int(number), many) if number.isdigit() else ("", 0, False)
    if isinstance(side, exp.Neg) and isinstance(side.this, exp.Literal):
        return f"-{side.this.this}", 0, False
    if isinstance(side, exp.Boolean):
        return ("true" if side.this else "false"), 0, False
    if not isinstance(side, exp.Literal):
        return "", 0, False
    if isinstance(side.parent, exp.Like | exp.ILike):
        return str(side.this).replace("%", "").replace("_", "x"), 0, False
    return str(side.this), 0, False


def counts(tree: exp.Expr) -> Iterator[int]:
    """The parameters that are numbers of rows: of LIMIT, OFFSET, FETCH."""
    for node in tree.find_all(exp.Limit, exp.Offset, exp.Fetch):
        side = node.args.get("count") or node.args.get("expression")
        number = constant(side)[1] if isinstance(side, exp.Expr) else 0
        if number:
            yield number


def order(tree: exp.Expr) -> Iterator[str | int | None]:
    """The keys of the outer ORDER BY: an output column's name or position, None where neither."""
    clause = tree.args.get("order")
    for key in clause.expressions if isinstance(clause, exp.Order) else ():
        by = key.this
        if isinstance(by, exp.Literal) and not by.is_string:
            yield int(by.this) if str(by.this).isdigit() else None
        elif isinstance(by, exp.Column) and isinstance(by.this, exp.Identifier):
            yield _output_name(tree, by)
        else:
            yield None


def _output_name(tree: exp.Expr, by: exp.Column) -> str | None:
    """The name of the output column that an ORDER BY key is, if it is one."""
    name = folded(by.this)
    if isinstance(tree, exp.Select) and tree.is_star:
        return name
    for item in tree.expressions if isinstance(tree, exp.Select) else ():
        named = isinstance(item, exp.Alias) and folded(item.args["alias"]) == name
        if item.unalias() == by or (named and not by.table):
            return folded(item.args["alias"]) if isinstance(item, exp.Alias) else name
    return name if isinstance(tree, exp.SetOperation) else None
