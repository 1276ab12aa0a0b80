"""What keeps an index from a comparison, and what joins the tables of a block. PURE."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlglot import exp

from dbopt.sql.blocks import Block, Source
from dbopt.sql.columns import folded
from dbopt.sql.expression import comparison_key
from dbopt.sql.indexdef import IndexDefinition
from dbopt.sql.schema import SchemaRelation
from dbopt.sql.shape import alternatives, conjuncts, join_kind

_COMPARISONS = (
    exp.EQ,
    exp.NEQ,
    exp.NullSafeEQ,
    exp.NullSafeNEQ,
    exp.GT,
    exp.GTE,
    exp.LT,
    exp.LTE,
    exp.Like,
    exp.ILike,
    exp.In,
    exp.Between,
)
_ARITHMETIC = (exp.Add, exp.Sub, exp.Mul, exp.Div, exp.IntDiv, exp.Mod, exp.Pow, exp.Neg, exp.DPipe)
_WRAPPERS: tuple[tuple[tuple[type[exp.Expr], ...], str], ...] = (
    ((exp.Cast,), "cast"),
    (_ARITHMETIC, "arithmetic"),
    ((exp.Func, exp.AtTimeZone), "function"),
)


def joins_of(block: Block) -> Iterator[str]:
    """How each source after the first is joined: settings of [complexity].

    After a comma, a source that no equality of two columns links to the others is a cross join.
    """
    groups: dict[str, int] = {}
    last = 0
    for at, source in enumerate(block.sources):
        kind = "" if source.joined is None else join_kind(source.joined)
        if kind:
            yield kind
        else:
            last = at
        groups.setdefault(source.name, last)
    count = len(set(groups.values()))
    if count > 1:
        crossed = _unlinked(block, groups, count)
        yield from ["join"] * (count - 1 - crossed)
        yield from ["cross_join"] * crossed


def _unlinked(block: Block, groups: dict[str, int], count: int) -> int:
    """How many of the groups that commas part no condition links."""
    leader: dict[int, int] = {}

    def leading(group: int) -> int:
        while group in leader:
            group = leader[group]
        return group

    for link in _links_of(block, groups):
        if _SOME in link:
            count -= 1  # it cannot be told which, but each links two
            continue
        first, *others = {leading(group) for group in link}
        leader.update(dict.fromkeys(others, first))
        count -= len(others)
    return max(1, count) - 1


_SOME = -1
"""The group of a column that may be any source's."""


def _links_of(block: Block, groups: dict[str, int]) -> Iterator[frozenset[int]]:
    """The groups that a condition links; of an OR, those that each of its branches does."""
    for part in block.conditions:
        if isinstance(part, exp.Or):
            branches = [_links(conjuncts(b), block, groups) for b in alternatives(part)]
            yield from set.intersection(*branches)
        else:
            yield from _links((part,), block, groups)


def _links(parts: Iterable[exp.Expr], block: Block, groups: dict[str, int]) -> set[frozenset[int]]:
    linked: set[frozenset[int]] = set()
    for part in parts:
        if isinstance(part, exp.EQ):
            left = _groups(part.this, block, groups)
            right = _groups(part.expression, block, groups)
            if _SOME in left | right and left and right:
                linked.add(frozenset({_SOME}))
            elif left and right and left != right:
                linked.add(frozenset(left | right))
    return linked


def _groups(side: exp.Expr, block: Block, groups: dict[str, int]) -> set[int]:
    """The groups that a side's columns are of; an outer query's are of none."""
    found: set[int] = set()
    for column in side.find_all(exp.Column):
        source = block.source_of(column)
        if source is not None:
            found.add(groups[source.name])
        elif not column.args.get("table") and block.has_unknown_columns:
            found.add(_SOME)
    return found


def leading_wildcard(node: exp.Expr, block: Block | None) -> bool:
    """Whether this is LIKE '%...', which no btree helps, on a column without a pg_trgm index."""
    if not isinstance(node, exp.Like | exp.ILike):
        return False
    pattern = node.expression
    if not isinstance(pattern, exp.Literal) or str(pattern.this)[:1] not in {"%", "_"}:
        return False
    return not any("trgm" in index.keys[0].opclass for index in _indexes_on(node.this, block))


def hidden_column(node: exp.Expr, block: Block | None) -> str:
    """What keeps a comparison from an index: "function", "cast" or "arithmetic" of a column; or "".

    A side that is a plain column can be looked up. With a Schema: only of a column that an index
    starts with, where none is on that very expression.
    """
    if not isinstance(node, _COMPARISONS):
        return ""
    other = node.args.get("expression")
    sides = [side for side in (node.this, other) if isinstance(side, exp.Expr)]
    if any(isinstance(side, exp.Column) for side in sides):
        return ""
    return next(filter(None, (_wraps(side, block) for side in sides)), "")


def _wraps(side: exp.Expr, block: Block | None) -> str:
    inner = side.unnest()
    if isinstance(inner, exp.AggFunc | exp.SubqueryPredicate | exp.Subquery | exp.Case):
        return ""
    kind = next((name for classes, name in _WRAPPERS if isinstance(inner, classes)), "")
    if kind and any(_loses_index(c, inner, block) for c in inner.find_all(exp.Column)):
        return kind
    return ""


def _loses_index(column: exp.Column, wrapper: exp.Expr, block: Block | None) -> bool:
    source = block.resolve(column) if block else None
    if source is None or source.known is None:
        return True
    if not any(_starts_with(index, column) for index in source.known.indexes):
        return False
    return not indexed_expression(source.known, wrapper)


def indexed_expression(known: SchemaRelation, side: exp.Expr) -> str:
    """The expression as an index of the relation has it; "" where none has it."""
    keys = [key.expression for i in known.indexes for key in i.keys if not key.is_column]
    wanted = comparison_key(side.sql("postgres")) if keys else ""
    return next((key for key in keys if comparison_key(key) == wanted), "")


def _indexes_on(node: exp.Expr, block: Block | None) -> list[IndexDefinition]:
    """The indexes that start with a column."""
    source: Source | None = None
    if block is not None and isinstance(node, exp.Column):
        source = block.resolve(node)
    if source is None or source.known is None or not isinstance(node, exp.Column):
        return []
    return [index for index in source.known.indexes if _starts_with(index, node)]


def _starts_with(index: IndexDefinition, column: exp.Column) -> bool:
    first = index.keys[0]
    return first.is_column and first.expression == folded(column.this)
