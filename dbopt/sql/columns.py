"""How a statement uses columns: compared, joined, sorted, grouped, shown.

PURE. A name is resolved against the relations that the caller knows, through aliases and outer
queries; what cannot be resolved is left out, so nothing is attributed to a wrong table. Where the
caller knows none, a name counts where the text alone tells whose it is: it is qualified, or there
is one table only that it can belong to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

from sqlglot import exp

from dbopt.sql.parse import parse, split
from dbopt.sql.query import ColumnUse, Role
from dbopt.sql.schema import Schema
from dbopt.sql.scopes import BySchema, ByTables, Scopes, Source, Tables, folded

__all__ = ["ColumnUse", "Role", "Tables", "column_uses", "folded", "uses_of_tree"]

MOST_USES = 500
"""Uses of one text that are told; hardly a statement of people's has so many."""
_MOST_COMPARED = 20_000
"""Columns on the other side of equalities that are looked at, together."""
_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
# PostgreSQL has GIN operator classes for @> and && (docs: "GIN", "Built-in Operator Classes").
# `x = ANY (column)` is not among them: GIN does not serve it.
_CONTAINS = (exp.ArrayContainsAll, exp.ArrayOverlaps)


def column_uses(text: str, tables: Tables) -> tuple[ColumnUse, ...]:
    """The uses of known columns in a statement, in its order; () where it cannot be parsed."""
    statements = split(text)
    tree = parse(statements[0]) if len(statements) == 1 else None
    if tree is None:
        return ()
    return tuple(islice(_Reader(Scopes(tree, ByTables(tables))).uses(), MOST_USES))


def uses_of_tree(tree: exp.Expression, schema: Schema | None = None) -> tuple[ColumnUse, ...]:
    """The uses of columns in a tree, in its order, each once."""
    uses = _Reader(Scopes(tree, BySchema(schema))).uses()
    return tuple(dict.fromkeys(islice(uses, MOST_USES)))


class _Reader:
    """One walk over a tree."""

    def __init__(self, scopes: Scopes) -> None:
        self._scopes = scopes
        self._compared = 0

    def uses(self) -> Iterator[ColumnUse]:
        for node, _ in self._scopes.nodes:
            read = _READERS.get(type(node))
            if read is not None:
                yield from read(self, node)

    def _column(self, node: exp.Expr) -> Iterator[ColumnUse]:
        yield from self._flag(node)
        yield from self._shown(node)

    def _contains(self, node: exp.Expr) -> Iterator[ColumnUse]:
        return self._condition(node, (node.this, node.expression), Role.CONTAIN)

    def _in(self, node: exp.Expr) -> Iterator[ColumnUse]:
        return self._condition(node, (node.this,), Role.EQUAL)

    def _equality(self, node: exp.Expr) -> Iterator[ColumnUse]:
        for one, other in ((node.this, node.expression), (node.expression, node.this)):
            used = self._scopes.resolve(one)
            if used is None or self._compared > _MOST_COMPARED:
                continue
            columns = list(other.find_all(exp.Column))
            self._compared += len(columns)
            others = [self._scopes.resolve(column) for column in columns]
            if any(found and found[0] == used[0] for found in others):
                continue
            yield from self._condition(node, (one,), Role.JOIN if others else Role.EQUAL)

    def _range(self, node: exp.Expr) -> Iterator[ColumnUse]:
        sides = [node.this, node.args.get("expression")]
        used = [side for side in sides if self._scopes.resolve(side)]
        if len(used) == 1:
            yield from self._condition(node, (used[0],), Role.RANGE)

    def _is(self, node: exp.Expr) -> Iterator[ColumnUse]:
        if not node.args.get("negate") and not isinstance(node.parent, exp.Not):
            yield from self._condition(node, (node.this,), Role.EQUAL)

    def _flag(self, node: exp.Expr) -> Iterator[ColumnUse]:
        """A boolean column that is itself the condition, or NOT before it."""
        whole = node.parent if isinstance(node.parent, exp.Not) else node
        if isinstance(whole.parent, exp.Where | exp.And):
            yield from self._condition(whole, (node,), Role.EQUAL)

    def _condition(
        self, node: exp.Expr, columns: tuple[exp.Expr | None, ...], role: Role
    ) -> Iterator[ColumnUse]:
        """The columns of a condition that decides which rows are wanted, else nothing."""
        place = self._scopes.place(node)
        if not place.deciding:
            return
        for column in columns:
            used = self._scopes.resolve(column)
            if used is not None:
                yield from _use(used, role, place.always)

    def _using(self, join: exp.Expr) -> Iterator[ColumnUse]:
        scope = self._scopes.of(self._scopes.place(join).owner).values()
        for name in join.args.get("using") or ():
            column = folded(name)
            for source in scope:
                # Of three tables whose columns are not known any two may be meant.
                known = source.columns is not None and column in source.columns
                if known or (source.columns is None and len(scope) == 2):
                    yield from _use((source, column), Role.JOIN)

    def _order(self, order: exp.Expr) -> Iterator[ColumnUse]:
        if not isinstance(order.parent, exp.Select):
            return
        first: Source | None = None
        aliases = {item.alias for item in order.parent.expressions if isinstance(item, exp.Alias)}
        for key in order.expressions:
            used = self._scopes.resolve(key.this)
            if used is None or (first is not None and used[0] != first):
                return
            if used[0].columns is None and used[1] in aliases and not key.this.args.get("table"):
                return
            first = used[0]
            descending = bool(key.args.get("desc"))
            nulls_first = bool(key.args.get("nulls_first"))
            yield from _use(used, Role.ORDER, True, descending, nulls_first)

    def _group(self, group: exp.Expr) -> Iterator[ColumnUse]:
        for key in group.expressions:
            used = self._scopes.resolve(key)
            if used is not None:
                yield from _use(used, Role.GROUP)

    def _shown(self, column: exp.Expr) -> Iterator[ColumnUse]:
        """A column in a select list or RETURNING, alone or in an expression."""
        if self._scopes.place(column).shown and (used := self._scopes.resolve(column)) is not None:
            yield from _use(used, Role.PROJECT)

    def _everything(self, star: exp.Expr) -> Iterator[ColumnUse]:
        """`*` and `t.*`: all columns, where they are known."""
        whole = star.parent if isinstance(star.parent, exp.Column) else star
        if not isinstance(whole.parent, exp.Select | exp.Returning):
            return
        qualifier = folded(whole.args["table"]) if whole.args.get("table") else ""
        for name, source in self._scopes.of(self._scopes.place(whole).owner).items():
            if qualifier in ("", name):
                for column in source.columns or ():
                    yield from _use((source, column), Role.PROJECT)


def _use(
    used: tuple[Source, str],
    role: Role,
    always: bool = True,
    descending: bool = False,
    nulls_first: bool = False,
) -> Iterator[ColumnUse]:
    source, column = used
    if source.relation is not None:
        yield ColumnUse(
            source.relation, source.number, column, role, always, descending, nulls_first
        )


_READERS: dict[type[exp.Expr], Callable[[_Reader, exp.Expr], Iterator[ColumnUse]]] = {
    exp.EQ: _Reader._equality,
    **dict.fromkeys(_RANGES, _Reader._range),
    **dict.fromkeys(_CONTAINS, _Reader._contains),
    exp.In: _Reader._in,
    exp.Is: _Reader._is,
    exp.Column: _Reader._column,
    exp.Star: _Reader._everything,
    exp.Join: _Reader._using,
    exp.Order: _Reader._order,
    exp.Group: _Reader._group,
}
"""What is read off each class of node. A look-up: most nodes have nothing to tell."""
