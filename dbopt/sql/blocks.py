"""A statement as blocks: each SELECT, UPDATE, DELETE and MERGE with its tables and conditions.

What is asked of a whole query (does an equality narrow it? how many rows does it read?) is asked
of a block. PURE. Every walk here is a loop: a statement may be long, and its ORs deep.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaRelation
from dbopt.sql.shape import alternatives, conjuncts

BLOCKS = (exp.Select, exp.Update, exp.Delete, exp.Merge)
_FARTHEST = 8
"""Blocks outward that a name is looked for in."""


@dataclass(slots=True)
class Source:
    """One item of FROM, or the target of a write. `joined` is None of the first, and after a comma
    of UPDATE and DELETE. `relation` is None of a subquery, a function or a CTE; `known` is what the
    Schema has of it. `query` is what a subquery or CTE holds. `columns` are the known ones."""

    name: str
    joined: exp.Join | None = None
    relation: Relation | None = None
    known: SchemaRelation | None = None
    query: exp.Query | None = None
    columns: Collection[str] = ()


@dataclass(eq=False)
class Block:
    """One query block. `depth` is 1 for the outermost; `correlated`: it names an outer table.

    `role` is what its parent makes of it: "" at the top, "exists" in EXISTS and IN, "cte", "set"
    as a part of a set operation, "source" of INSERT, else "subquery". `conditions`
    must hold of every row; `optional` are those of outer joins. `narrowings`: how many
    of the former an index could serve, see `narrows`.
    """

    node: exp.Expr
    outer: Block | None
    depth: int
    role: str
    sources: list[Source] = field(default_factory=list)
    conditions: list[exp.Expr] = field(default_factory=list)
    optional: list[exp.Expr] = field(default_factory=list)
    correlated: bool = False
    narrowings: int = 0
    _by_column: dict[str, Source | None] = field(default_factory=dict)

    @property
    def narrowed(self) -> bool:
        """Whether an equality narrows any of its tables."""
        return self.narrowings > 0

    @property
    def inner(self) -> int:
        """How many of its tables are there in every row: all but those of outer joins."""
        return sum(
            source.relation is not None and not (source.joined and source.joined.side)
            for source in self.sources
        )

    @property
    def spread(self) -> int:
        """How many of these have no equality of their own, at least."""
        return max(0, self.inner - self.narrowings)

    @property
    def select(self) -> exp.Select | None:
        """The SELECT, if it is one."""
        return self.node if isinstance(self.node, exp.Select) else None

    @property
    def bounded(self) -> bool:
        """Whether it has a LIMIT."""
        return self.node.args.get("limit") is not None

    @property
    def tables(self) -> int:
        """How many of its sources are tables."""
        return sum(source.relation is not None for source in self.sources)

    def source_of(self, column: exp.Column) -> Source | None:
        """The source that a column is of, as far as the text and the Schema tell."""
        table = column.args.get("table")
        if isinstance(table, exp.Identifier):
            return self._by_name.get(folded(table))
        name = folded(column.this)
        if name not in self._by_column:
            self._by_column[name] = self._owner(name)
        return self._by_column[name]

    def _owner(self, name: str) -> Source | None:
        if len(self.sources) == 1 and not self.sources[0].columns:
            return self.sources[0]
        return next((source for source in self.sources if name in source.columns), None)

    @cached_property
    def _by_name(self) -> dict[str, Source]:
        return {source.name: source for source in reversed(self.sources)}

    def resolve(self, column: exp.Column) -> Source | None:
        """`source_of`, here or in a block around."""
        block: Block | None = self
        for _ in range(_FARTHEST):
            found = block.source_of(column) if block is not None else None
            if block is None or found is not None:
                return found
            block = block.around(column)
        return None

    def around(self, column: exp.Column) -> Block | None:
        """The block to look for a column in that none of the sources here is known to have."""
        may_be_here = not column.args.get("table") and self.has_unknown_columns
        return None if may_be_here else self.outer

    @cached_property
    def has_unknown_columns(self) -> bool:
        """Whether it is not known of some source which columns it has."""
        return any(not source.columns for source in self.sources)


def read_block(
    node: exp.Expr,
    outer: Block | None,
    depth: int,
    ctes: Mapping[str, exp.CTE],
    schema: Schema | None,
) -> Block:
    """The block of a node, which is one of BLOCKS."""
    block = Block(node, outer, depth, _role(node))
    block.sources = [_source(item, join, ctes, schema) for item, join in _items(node)]
    block.conditions = list(_conditions(node, optional=False))
    block.optional = list(_conditions(node, optional=True))
    block.narrowings = sum(narrows(condition, block) for condition in block.conditions)
    return block


_NARROWING = (
    exp.EQ,
    exp.NullSafeEQ,
    exp.ArrayContainsAll,
    exp.ArrayOverlaps,
    exp.MatchAgainst,
    exp.JSONBContains,
)


def narrows(condition: exp.Expr, block: Block) -> bool:
    """Whether an index could find the few rows that fulfil it: `column = constant` and the like."""
    for part in conjuncts(condition):
        if isinstance(part, exp.Or):
            if all(_equality_inside(branch, block) for branch in alternatives(part)):
                return True
        elif _equality(part, block):
            return True
    return False


def _equality_inside(branch: exp.Expr, block: Block) -> bool:
    return any(_equality(part, block) for part in conjuncts(branch))


def _equality(part: exp.Expr, block: Block) -> bool:
    if isinstance(part, exp.In):
        return isinstance(part.this, exp.Column | exp.Tuple) and bool(part.expressions)
    if not isinstance(part, _NARROWING):
        return False
    other = part.args.get("expression")
    sides = (part.this, other) if isinstance(other, exp.Expr) else (part.this, *part.expressions)
    named = [_names_column(side) for side in sides]
    if all(named):
        return any(is_outer(side, block) for side in sides)
    return any(named) and not any(isinstance(side, exp.Subquery) for side in sides)


def _names_column(side: exp.Expr) -> bool:
    return isinstance(side, exp.Column) or (
        isinstance(side, exp.Tuple) and any(isinstance(x, exp.Column) for x in side.expressions)
    )


def is_outer(side: exp.Expr, block: Block) -> bool:
    """Whether a column is surely one of an outer query: constant while this one runs."""
    if not isinstance(side, exp.Column) or block.source_of(side) is not None:
        return False
    return block.resolve(side) is not None


def _role(node: exp.Expr) -> str:
    parent = node.parent
    while isinstance(parent, exp.Subquery | exp.Paren):
        parent = parent.parent
    if isinstance(parent, exp.CTE):
        return "cte"
    if isinstance(parent, exp.SetOperation):
        return "set"
    if parent is None:
        return ""
    if isinstance(parent, exp.Insert | exp.Create):
        return "source"
    return "exists" if isinstance(parent, exp.Exists | exp.In) else "subquery"


def _items(node: exp.Expr) -> Iterator[tuple[exp.Expr, exp.Join | None]]:
    """What FROM, USING and the joins name; of a write, its target first."""
    using = node.args.get("using")
    source = node.args.get("from_")
    tops = [None if isinstance(node, exp.Select) else node.this]
    tops += using if isinstance(using, list) else [using]
    tops += [source.this if source is not None else None]
    for top in tops:
        if isinstance(top, exp.Expr):
            yield from _spread(top, None)
    for join in node.args.get("joins") or ():
        yield from _spread(join.this, join)


def _spread(top: exp.Expr, how: exp.Join | None) -> Iterator[tuple[exp.Expr, exp.Join | None]]:
    """An item, and what parentheses in FROM join with it."""
    todo: list[tuple[exp.Expr, exp.Join | None]] = [(top, how)]
    while todo:
        item, join = todo.pop()
        joins = list(item.args.get("joins") or ())
        while isinstance(item, exp.Subquery) and isinstance(item.this, exp.Table | exp.Subquery):
            item = item.this
            joins = [*(item.args.get("joins") or ()), *joins]
        yield item, join
        todo.extend((more.this, more) for more in reversed(joins))


def _source(
    item: exp.Expr, join: exp.Join | None, ctes: Mapping[str, exp.CTE], schema: Schema | None
) -> Source:
    alias = item.args.get("alias")
    named = alias.this if isinstance(alias, exp.TableAlias) and alias.this else item.this
    name = folded(named) if isinstance(named, exp.Identifier) else ""
    if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
        return _derived(Source(name, join), item)
    relation = Relation(folded(item.args["db"]) if item.args.get("db") else "", folded(item.this))
    if not relation.schema and relation.name in ctes:
        return _derived(Source(name, join), ctes[relation.name])
    known = schema.find(relation) if schema else None
    return Source(name, join, relation, known, None, known.columns if known else ())


def _derived(source: Source, holder: exp.Expr) -> Source:
    """A source with the query that a subquery, LATERAL or CTE holds, and what that gives."""
    query = holder.this
    query = query.unnest() if isinstance(query, exp.Subquery) else query
    if isinstance(query, exp.Query):
        source.query = query
        alias = holder.args.get("alias")
        renamed = alias.args.get("columns") if isinstance(alias, exp.TableAlias) else None
        names = [folded(n) for n in renamed] if renamed else [_output(x) for x in query.selects]
        source.columns = () if "*" in names else frozenset(names)
    return source


def _output(item: exp.Expr) -> str:
    """The name of what SELECT gives: its alias, or the column's own; "*" of a star."""
    named = item.args.get("alias") if isinstance(item, exp.Alias) else item.this
    return folded(named) if isinstance(named, exp.Identifier) else "*" * item.is_star


def _conditions(node: exp.Expr, optional: bool) -> Iterator[exp.Expr]:
    """What rows must fulfil: WHERE, MERGE's ON and inner joins; or `optional`, outer joins' ON."""
    where = node.args.get("where")
    if isinstance(where, exp.Where) and not optional:
        yield from conjuncts(where.this)
    if isinstance(node, exp.Merge) and node.args.get("on") is not None and not optional:
        yield from conjuncts(node.args["on"])
    for _, join in _items(node):
        if join is not None and join.args.get("on") is not None and bool(join.side) is optional:
            yield from conjuncts(join.args["on"])
