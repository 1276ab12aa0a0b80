"""Questions about the shape of a tree that the complexity score asks."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

_COMPARISONS = (
    exp.EQ,
    exp.NEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Like,
    exp.ILike,
    exp.In,
    exp.Between,
)


def join_kind(join: exp.Join) -> str:
    """Which of the complexity table's joins this is; "" for a comma, see `comma_joins`."""
    joined = join.this
    if isinstance(joined, exp.Lateral | exp.Unnest) or _is_function(joined):
        return "lateral join"
    if join.kind == "CROSS" or _on_true(join):
        return "cross join"
    if join.side:
        return "outer join"
    if join.method == "NATURAL" or join.args.get("on") or join.args.get("using"):
        return "join"
    return ""


def comma_joins(select: exp.Select) -> Iterator[str]:
    """For each comma in FROM whether WHERE joins what follows it, or it is a cross join."""
    commas = [join for join in select.args.get("joins") or () if join_kind(join) == ""]
    if not commas:
        return
    where = select.args.get("where")
    linked = _linked_tables(where) if isinstance(where, exp.Where) else set()
    for join in commas:
        name = join.this.alias_or_name.lower()
        yield "join" if name in linked or "" in linked else "cross join"


def _linked_tables(where: exp.Where) -> set[str]:
    """Tables with a column that equals another table's; "" where a column names no table."""
    linked: set[str] = set()
    for part in conjuncts(where.this):
        left, right = (part.this, part.expression) if isinstance(part, exp.EQ) else (None, None)
        if isinstance(left, exp.Column) and isinstance(right, exp.Column):
            tables = {left.table.lower(), right.table.lower()}
            linked |= tables if len(tables) == 2 or "" in tables else set()
    return linked


def _is_function(joined: exp.Expr) -> bool:
    return isinstance(joined, exp.Table) and not isinstance(joined.this, exp.Identifier)


def _on_true(join: exp.Join) -> bool:
    on = join.args.get("on")
    return isinstance(on, exp.Boolean) and bool(on.this)


def conjuncts(condition: exp.Expr) -> Iterator[exp.Expr]:
    """The parts that AND joins, without recursion."""
    todo = [condition]
    while todo:
        part = todo.pop()
        if isinstance(part, exp.Paren):
            todo.append(part.this)
        elif isinstance(part, exp.And):
            todo.extend((part.this, part.expression))
        else:
            yield part


def reads_table(select: exp.Select, ctes: frozenset[str]) -> bool:
    """Whether FROM has a table, and not only functions, subqueries or one of the given CTEs."""
    source = select.args.get("from_")
    joins = select.args.get("joins") or ()
    sources = [part.this for part in (source, *joins) if part is not None]
    return any(isinstance(s, exp.Table) and _is_table(s, ctes) for s in sources)


def _is_table(source: exp.Table, ctes: frozenset[str]) -> bool:
    named = isinstance(source.this, exp.Identifier)
    return named and (bool(source.db) or source.name.lower() not in ctes)


def is_aggregate_row(select: exp.Select) -> bool:
    """Whether the result is one row: aggregates alone and no GROUP BY."""
    if select.args.get("group") is not None or not select.expressions:
        return False
    return all(isinstance(item.unalias(), exp.AggFunc | exp.Literal) for item in select.expressions)


def has_equality(select: exp.Select) -> bool:
    """Whether a conjunct of WHERE compares a column with something that is none."""
    where = select.args.get("where")
    if not isinstance(where, exp.Where):
        return False
    return any(
        isinstance(part, exp.EQ)
        and isinstance(part.this, exp.Column) != isinstance(part.expression, exp.Column)
        for part in conjuncts(where.this)
    )


def is_correlated(select: exp.Select) -> bool:
    """Whether a column is qualified by a table that neither this query nor one inside names."""
    own = {source.alias_or_name.lower() for source in select.find_all(exp.Table)}
    own |= {
        node.alias.lower()
        for node in select.find_all(exp.Subquery, exp.Lateral, exp.Unnest, exp.CTE, exp.Values)
        if node.alias
    }
    return any(
        column.table and column.table.lower() not in own for column in select.find_all(exp.Column)
    )


def mixes_columns(condition: exp.Or) -> bool:
    """Whether the sides of OR look at different columns, so that no one index serves them."""
    columns = {column.sql().lower() for column in condition.find_all(exp.Column)}
    return len(columns) > 1


def leading_wildcard(node: exp.Expr) -> bool:
    """Whether this is LIKE '%...': a btree cannot help."""
    if not isinstance(node, exp.Like | exp.ILike):
        return False
    pattern = node.expression
    return isinstance(pattern, exp.Literal) and str(pattern.this)[:1] in {"%", "_"}


def compares_function_of_column(node: exp.Expr) -> bool:
    """Whether a comparison wraps a column in a function or a cast, away from its plain index."""
    if not isinstance(node, _COMPARISONS):
        return False
    sides = (node.this, node.args.get("expression"))
    return any(_wraps_column(side) for side in sides if isinstance(side, exp.Expr))


def _wraps_column(side: exp.Expr) -> bool:
    if not isinstance(side, exp.Func) or isinstance(side, exp.AggFunc | exp.SubqueryPredicate):
        return False
    return side.find(exp.Column) is not None
