"""What a tree has that costs: the features that the complexity score counts. PURE.

A feature's name is its setting's in [complexity]. One walk reads the tree and gathers its blocks;
what is asked of a block as a whole is asked after it, when it is known which are correlated.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from dbopt.sql.blocks import BLOCKS, Block, read_block
from dbopt.sql.columns import folded
from dbopt.sql.sargable import hidden_column, joins_of, leading_wildcard
from dbopt.sql.schema import Schema
from dbopt.sql.shape import (
    excludes_subquery,
    is_aggregate_row,
    is_negated,
    is_range,
    list_length,
    mixes_columns,
)

CHEAP_JOINS = 3
"""Each further join multiplies the orders that the planner weighs, and its estimates' errors."""
LIST_STEP = 20
MOST_LISTS = 4


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a node stands: its block, how deep SELECTs are nested, whether in a predicate."""

    block: Block | None
    depth: int = 0
    predicate: bool = False


@dataclass(slots=True)
class Features:
    """What was found: how often each feature, by the block that it is in (None: in none)."""

    blocks: list[Block] = field(default_factory=list)
    counts: dict[Block | None, Counter[str]] = field(default_factory=dict)
    deepest: int = 1

    def add(self, block: Block | None, names: Iterator[str]) -> None:
        """Count features of a block."""
        self.counts.setdefault(block, Counter()).update(names)


def features(tree: exp.Expr, schema: Schema | None = None) -> Features:
    """The features of a statement. Linear in its length but for its nesting, which is bounded."""
    found = Features()
    ctes = dict(_ctes(tree))
    todo = [(tree, _Place(None))]
    while todo:
        node, place = todo.pop()
        if isinstance(node, BLOCKS) and not isinstance(node.parent, exp.When):
            depth = place.depth + isinstance(node, exp.Select)
            block = read_block(node, place.block, depth, ctes, schema)
            found.blocks.append(block)
            found.deepest = max(found.deepest, depth)
            place = _Place(block, depth)
        elif isinstance(node, exp.Column):
            _mark_correlated(node, place.block)
        found.add(place.block, _of_node(node, place))
        todo.extend(_steps(node, place))
    for block in found.blocks:
        found.add(block, _of_block(block))
    return found


def _ctes(tree: exp.Expr) -> Iterator[tuple[str, exp.CTE]]:
    for cte in tree.find_all(exp.CTE):
        alias = cte.args.get("alias")
        if isinstance(alias, exp.TableAlias) and isinstance(alias.this, exp.Identifier):
            yield folded(alias.this), cte


def _steps(node: exp.Expr, place: _Place) -> Iterator[tuple[exp.Expr, _Place]]:
    around = place.block.outer if place.block else None
    for key, value in node.args.items():
        predicate = place.predicate or isinstance(node, exp.Where) or key == "on"
        for child in value if isinstance(value, list) else (value,):
            if isinstance(child, exp.Expr):
                alone = key == "with_" or _is_derived(node, child)
                yield child, _Place(around if alone else place.block, place.depth, predicate)


def _is_derived(node: exp.Expr, child: exp.Expr) -> bool:
    """Whether it is a subquery in FROM: one that does not see the tables beside it."""
    return (
        isinstance(node, exp.From | exp.Join)
        and isinstance(child, exp.Subquery)
        and isinstance(child.this, exp.Select | exp.SetOperation)
    )


def _mark_correlated(column: exp.Column, block: Block | None) -> None:
    # In ORDER BY and GROUP BY a name may be that of what is selected.
    if block is None or isinstance(column.parent, exp.Ordered | exp.Group):
        return
    inside = [block]
    while inside[-1].source_of(column) is None:
        outer = inside[-1].around(column)
        if outer is None:
            return
        inside.append(outer)
    for one in inside[:-1]:
        one.correlated = True


def _of_node(node: exp.Expr, place: _Place) -> Iterator[str]:
    """What one node adds, wherever it stands."""
    if isinstance(node, exp.SetOperation):
        yield "set_operation"
        if node.args.get("distinct"):
            yield "distinct"
    elif isinstance(node, exp.Distinct):
        yield "distinct"
    elif isinstance(node, exp.Window):
        yield "window"
    elif isinstance(node, exp.AggFunc):
        yield "aggregate"
    elif isinstance(node, exp.CTE):
        yield "cte"
    elif isinstance(node, exp.With):
        yield from ["recursive"] * bool(node.recursive)
    elif isinstance(node, exp.Insert):
        yield from _of_insert(node)
    elif place.predicate:
        yield from _of_predicate(node, place.block)


def _of_insert(node: exp.Insert) -> Iterator[str]:
    columns = node.this.expressions if isinstance(node.this, exp.Schema) else ()
    yield from ["field"] * len(columns)
    if isinstance(node.expression, exp.Values):
        yield from ["long_list"] * min(len(node.expression.expressions) // LIST_STEP, MOST_LISTS)


def _of_predicate(node: exp.Expr, block: Block | None) -> Iterator[str]:
    if isinstance(node, exp.Or):
        if not isinstance(_around(node), exp.Or) and mixes_columns(node):
            yield "or_columns"
        return
    if is_range(node):
        yield "range"
    yield from ["long_list"] * min(list_length(node) // LIST_STEP, MOST_LISTS)
    if leading_wildcard(node, block):
        yield "leading_wildcard"
    if excludes_subquery(node):
        yield "not_in_subquery"
    elif is_negated(node):
        yield "negation"
    hidden = hidden_column(node, block)
    if hidden:
        yield hidden


def _around(node: exp.Expr) -> exp.Expr | None:
    """What a condition is a part of, parentheses aside."""
    parent = node.parent
    while isinstance(parent, exp.Paren):
        parent = parent.parent
    return parent


def _of_block(block: Block) -> Iterator[str]:
    """What a whole block adds."""
    joins = list(joins_of(block))
    yield from joins
    yield from ["many_joins"] * (len(joins) - CHEAP_JOINS)
    if block.tables and not _is_first_rows(block):
        yield from ["scan"] * (not block.narrowed)
        yield from ["scanned_table"] * (block.spread - (not block.narrowed))
    if block.select is not None:
        yield from _of_select(block, block.select)
    elif isinstance(block.node, exp.Update | exp.Delete):
        yield from ["field"] * len(block.node.expressions)
        yield from ["write_without_where"] * (block.node.args.get("where") is None)


def _of_select(block: Block, select: exp.Select) -> Iterator[str]:
    yield from ["field"] * len(select.expressions)
    if select.args.get("group") is not None:
        yield "grouping"
    if select.args.get("order") and not block.bounded:
        yield "sort"
    if select.is_star and not isinstance(select.parent, exp.Exists):
        yield "star"
    if block.tables and not block.bounded and select.args.get("where") is None:
        yield "no_where"
    if block.role in {"subquery", "exists"}:
        yield _subquery(block)
    if block.role == "" and _is_unbounded(block, select):
        yield "unbounded"


def _subquery(block: Block) -> str:
    if not block.correlated:
        return "subquery"
    return "exists_subquery" if block.role == "exists" else "correlated_subquery"


def _is_unbounded(block: Block, select: exp.Select) -> bool:
    return bool(block.tables) and not (block.bounded or block.narrowed or is_aggregate_row(select))


def _is_first_rows(block: Block) -> bool:
    """Whether LIMIT ends it after its first rows: nothing has to see all of them before."""
    select = block.select
    if select is None or not block.bounded or len(block.sources) > 1:
        return False
    whole = ("order", "group", "distinct", "where")
    return not any(select.args.get(key) for key in whole) and not any(
        item.find(exp.AggFunc, exp.Window) for item in select.expressions
    )
