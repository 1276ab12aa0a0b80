"""How a statement uses columns: compared, joined, sorted, grouped. What an index could serve.

PURE. A name is resolved against the tables that the caller knows, through aliases and outer
queries; what cannot be resolved is left out, so nothing is attributed to a wrong table.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from sqlglot import exp

from dbopt.sql.parse import parse, split
from dbopt.sql.query import Relation

Tables = Mapping[Relation, Collection[str]]
"""The columns of each known table, by its schema and name."""


class Role(StrEnum):
    """What a statement does with a column. CONTAIN: an array's or document's operator."""

    EQUAL = "equal"
    RANGE = "range"
    JOIN = "join"
    CONTAIN = "contain"
    ORDER = "order"
    GROUP = "group"


@dataclass(frozen=True, slots=True)
class ColumnUse:
    """One use. `source` tells apart several occurrences of one table in the statement.

    `always` is False under OR and NOT: the condition need not hold for every row wanted.
    """

    relation: Relation
    source: int
    column: str
    role: Role
    always: bool = True
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class _Source:
    """A table in a FROM clause."""

    number: int
    relation: Relation


_Scope = dict[str, _Source]
_STATEMENTS = (exp.Select, exp.Update, exp.Delete)
_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
# PostgreSQL has GIN operator classes for @> and && (docs: "GIN", "Built-in Operator Classes").
# `x = ANY (column)` is not among them: GIN does not serve it.
_CONTAINS = (exp.ArrayContainsAll, exp.ArrayOverlaps)
_HOLDERS = (exp.Where, exp.Join, exp.Having, exp.Case, exp.Order, *_STATEMENTS)


def column_uses(text: str, tables: Tables) -> tuple[ColumnUse, ...]:
    """The uses of known columns in a statement, in its order; () where it cannot be parsed."""
    statements = split(text)
    tree = parse(statements[0]) if len(statements) == 1 else None
    return tuple(_Reader(tree, tables).uses()) if tree is not None else ()


class _Reader:
    """One walk over a tree."""

    def __init__(self, tree: exp.Expression, tables: Tables) -> None:
        self._tree = tree
        self._tables = tables
        self._ctes = {cte.alias for cte in tree.find_all(exp.CTE)}
        self._scopes = self._read_scopes()

    def uses(self) -> Iterator[ColumnUse]:
        for node in self._tree.walk(bfs=False):
            if isinstance(node, exp.EQ):
                yield from self._equality(node)
            elif isinstance(node, _RANGES):
                yield from self._range(node)
            elif isinstance(node, _CONTAINS):
                yield from self._condition(node, (node.this, node.expression), Role.CONTAIN)
            elif isinstance(node, exp.In):
                yield from self._condition(node, (node.this,), Role.EQUAL)
            elif isinstance(node, exp.Is):
                yield from self._is(node)
            elif isinstance(node, exp.Column):
                yield from self._flag(node)
            elif isinstance(node, exp.Join):
                yield from self._using(node)
            elif isinstance(node, exp.Order):
                yield from self._order(node)
            elif isinstance(node, exp.Group):
                yield from self._group(node)

    def _read_scopes(self) -> dict[int, _Scope]:
        scopes: dict[int, _Scope] = {}
        for number, table in enumerate(self._tree.find_all(exp.Table)):
            owner = table.find_ancestor(*_STATEMENTS)
            relation = self._relation(table)
            if owner is not None and relation is not None:
                name = folded(table.args["alias"].this) if table.alias else relation.name
                scopes.setdefault(id(owner), {})[name] = _Source(number, relation)
        return scopes

    def _relation(self, table: exp.Table) -> Relation | None:
        if not isinstance(table.this, exp.Identifier):
            return None
        name = folded(table.this)
        schema = table.args.get("db")
        if schema is not None:
            wanted = Relation(folded(schema), name)
            return wanted if wanted in self._tables else None
        if name in self._ctes:
            return None
        found = sorted(relation for relation in self._tables if relation.name == name)
        public = Relation("public", name)
        return public if public in found else found[0] if len(found) == 1 else None

    def _resolve(self, node: exp.Expr | None) -> tuple[_Source, str] | None:
        """The source and name of a bare column, looked up from its query outwards."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return None
        column = folded(node.this)
        qualifier = folded(node.args["table"]) if node.args.get("table") else ""
        owner = node.find_ancestor(*_STATEMENTS)
        while owner is not None:
            found = self._in_scope(self._scopes.get(id(owner), {}), qualifier, column)
            if found:
                return (found[0], column) if len(found) == 1 else None
            owner = owner.find_ancestor(*_STATEMENTS)
        return None

    def _in_scope(self, scope: _Scope, qualifier: str, column: str) -> list[_Source]:
        sources = [s for name, s in scope.items() if qualifier in ("", name)]
        return [s for s in sources if column in self._tables[s.relation]]

    def _equality(self, node: exp.EQ) -> Iterator[ColumnUse]:
        for one, other in ((node.this, node.expression), (node.expression, node.this)):
            used = self._resolve(one)
            if used is None:
                continue
            others = [self._resolve(column) for column in other.find_all(exp.Column)]
            if any(found and found[0] == used[0] for found in others):
                continue
            yield from self._condition(node, (one,), Role.JOIN if others else Role.EQUAL)

    def _range(self, node: exp.Expr) -> Iterator[ColumnUse]:
        sides = [node.this, node.args.get("expression")]
        used = [side for side in sides if self._resolve(side)]
        if len(used) == 1:
            yield from self._condition(node, (used[0],), Role.RANGE)

    def _is(self, node: exp.Is) -> Iterator[ColumnUse]:
        if not node.args.get("negate") and not isinstance(node.parent, exp.Not):
            yield from self._condition(node, (node.this,), Role.EQUAL)

    def _flag(self, node: exp.Column) -> Iterator[ColumnUse]:
        """A boolean column that is itself the condition."""
        outer = node.parent.parent if isinstance(node.parent, exp.Not) else node.parent
        if isinstance(outer, exp.Where | exp.And):
            yield from self._condition(node, (node,), Role.EQUAL)

    def _condition(
        self, node: exp.Expr, columns: tuple[exp.Expr | None, ...], role: Role
    ) -> Iterator[ColumnUse]:
        """The columns of a condition that decides which rows are wanted, else nothing."""
        if not isinstance(node.find_ancestor(*_HOLDERS), exp.Where | exp.Join):
            return
        for column in columns:
            used = self._resolve(column)
            if used is not None:
                yield ColumnUse(used[0].relation, used[0].number, used[1], role, _always(node))

    def _using(self, join: exp.Join) -> Iterator[ColumnUse]:
        owner = join.find_ancestor(*_STATEMENTS)
        for name in join.args.get("using") or ():
            column = folded(name)
            for source in self._in_scope(self._scopes.get(id(owner), {}), "", column):
                yield ColumnUse(source.relation, source.number, column, Role.JOIN)

    def _order(self, order: exp.Order) -> Iterator[ColumnUse]:
        if not isinstance(order.parent, exp.Select):
            return
        first: _Source | None = None
        for key in order.expressions:
            used = self._resolve(key.this)
            if used is None or (first is not None and used[0] != first):
                return
            first = used[0]
            descending = bool(key.args.get("desc"))
            nulls_first = bool(key.args.get("nulls_first"))
            yield ColumnUse(
                first.relation, first.number, used[1], Role.ORDER, True, descending, nulls_first
            )

    def _group(self, group: exp.Group) -> Iterator[ColumnUse]:
        for key in group.expressions:
            used = self._resolve(key)
            if used is not None:
                yield ColumnUse(used[0].relation, used[0].number, used[1], Role.GROUP)


def folded(identifier: exp.Expr) -> str:
    """A name as PostgreSQL folds it: lower case unless it was quoted."""
    name = str(identifier.this) if isinstance(identifier, exp.Identifier) else identifier.name
    return name if identifier.args.get("quoted") else name.lower()


def _always(node: exp.Expr) -> bool:
    parent = node.parent
    while parent is not None and not isinstance(parent, _HOLDERS):
        # NOT over a bare boolean column is still a search by equality.
        flag = isinstance(parent, exp.Not) and isinstance(node, exp.Column)
        if isinstance(parent, exp.Or | exp.Not) and not flag:
            return False
        parent = parent.parent
    return True
