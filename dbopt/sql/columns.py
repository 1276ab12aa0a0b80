"""How a statement uses columns: compared, joined, sorted, grouped, shown.

PURE. A name is resolved against the relations that the caller knows, through aliases and outer
queries; what cannot be resolved is left out, so nothing is attributed to a wrong table. Where the
caller knows none, a name counts where the text alone tells whose it is: it is qualified, or there
is one table only that it can belong to.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from dbopt.sql.parse import parse, split
from dbopt.sql.query import ColumnUse, Relation, Role
from dbopt.sql.schema import Schema

__all__ = ["ColumnUse", "Role", "Tables", "column_uses", "folded", "uses_of_tree"]

Tables = Mapping[Relation, Collection[str]]
"""The columns of each known table, by its schema and name."""


class _Lookup(Protocol):
    """What is known of relations."""

    def relation(self, named: Relation) -> Relation | None:
        """The relation that a name means; None where that is not known."""
        ...

    def columns(self, relation: Relation) -> Collection[str] | None:
        """The names of its columns, in order if they have one; None where they are not known."""
        ...


@dataclass(frozen=True, slots=True)
class _ByTables:
    tables: Tables

    def relation(self, named: Relation) -> Relation | None:
        if named.schema:
            return named if named in self.tables else None
        found = sorted(relation for relation in self.tables if relation.name == named.name)
        public = Relation("public", named.name)
        return public if public in found else found[0] if len(found) == 1 else None

    def columns(self, relation: Relation) -> Collection[str] | None:
        return self.tables[relation]


@dataclass(frozen=True, slots=True)
class _BySchema:
    """A relation that the schema does not know, and all where there is none, stays as written."""

    schema: Schema | None

    def relation(self, named: Relation) -> Relation | None:
        found = self.schema.find(named) if self.schema is not None else None
        return named if found is None else found.relation

    def columns(self, relation: Relation) -> Collection[str] | None:
        found = self.schema.relations.get(relation) if self.schema is not None else None
        return found.columns if found is not None and found.columns else None


@dataclass(frozen=True, slots=True)
class _Source:
    """A table in a FROM clause, or something else there: then `relation` is None."""

    number: int
    relation: Relation | None
    columns: Collection[str] | None = None


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
    return tuple(_Reader(tree, _ByTables(tables)).uses()) if tree is not None else ()


def uses_of_tree(tree: exp.Expression, schema: Schema | None = None) -> tuple[ColumnUse, ...]:
    """The uses of columns in a tree, in its order, each once."""
    return tuple(dict.fromkeys(_Reader(tree, _BySchema(schema)).uses()))


class _Reader:
    """One walk over a tree."""

    def __init__(self, tree: exp.Expression, known: _Lookup) -> None:
        self._tree = tree
        self._known = known
        self._ctes = {folded(cte.args["alias"].this) for cte in tree.find_all(exp.CTE) if cte.alias}
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
                yield from self._shown(node)
            elif isinstance(node, exp.Star):
                yield from self._everything(node)
            elif isinstance(node, exp.Join):
                yield from self._using(node)
            elif isinstance(node, exp.Order):
                yield from self._order(node)
            elif isinstance(node, exp.Group):
                yield from self._group(node)

    def _read_scopes(self) -> dict[int, _Scope]:
        scopes: dict[int, _Scope] = {}
        items = self._tree.find_all(exp.Table, exp.Subquery, exp.Lateral, exp.Unnest, exp.Values)
        for number, item in enumerate(items):
            owner = item.find_ancestor(*_STATEMENTS)
            if owner is None or not _is_source(item):
                continue
            name, source = self._source(number, item)
            scopes.setdefault(id(owner), {})[name] = source
        return scopes

    def _source(self, number: int, item: exp.Expr) -> tuple[str, _Source]:
        alias = item.args.get("alias")
        given = folded(alias.this) if alias is not None and alias.this is not None else ""
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
            return given or f"({number}", _Source(number, None)
        name, schema = folded(item.this), item.args.get("db")
        named = Relation(folded(schema) if schema is not None else "", name)
        hidden = not named.schema and name in self._ctes
        relation = None if hidden else self._known.relation(named)
        renamed = alias is not None and bool(alias.args.get("columns"))
        columns = None if relation is None or renamed else self._known.columns(relation)
        return given or name, _Source(number, None if renamed else relation, columns)

    def _resolve(self, node: exp.Expr | None) -> tuple[_Source, str] | None:
        """The source and name of a bare column, looked up from its query outwards."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return None
        column = folded(node.this)
        qualifier = folded(node.args["table"]) if node.args.get("table") else ""
        found = self._lookup(node, qualifier, column)
        return (found, column) if found is not None and found.relation is not None else None

    def _lookup(self, node: exp.Expr, qualifier: str, column: str) -> _Source | None:
        owner = node.find_ancestor(*_STATEMENTS)
        while owner is not None:
            scope = self._scopes.get(id(owner), {})
            sources = [s for name, s in scope.items() if qualifier in ("", name)]
            sure = [s for s in sources if s.columns is not None and column in s.columns]
            unsure = [s for s in sources if s.columns is None]
            outer = owner.find_ancestor(*_STATEMENTS)
            if sure:
                return sure[0] if len(sure) == 1 and not unsure else None
            if unsure:
                # What is not known to have the column may still leave it to an outer query.
                alone = len(unsure) == 1 and (qualifier != "" or self._ends_at(owner, outer))
                return unsure[0] if alone else None
            owner = outer
        return None

    def _ends_at(self, owner: exp.Expr, outer: exp.Expr | None) -> bool:
        """Whether no outer query has a table that a name in this one could belong to."""
        while outer is not None:
            if self._scopes.get(id(outer)):
                parent = owner.parent
                return isinstance(parent, exp.CTE) or (
                    isinstance(parent, exp.Subquery) and isinstance(parent.parent, exp.From)
                )
            owner, outer = outer, outer.find_ancestor(*_STATEMENTS)
        return True

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
                yield from _use(used, role, _always(node))

    def _using(self, join: exp.Join) -> Iterator[ColumnUse]:
        owner = join.find_ancestor(*_STATEMENTS)
        for name in join.args.get("using") or ():
            column = folded(name)
            scope = self._scopes.get(id(owner), {}).values()
            for source in scope:
                # Of three tables whose columns are not known any two may be meant.
                known = source.columns is not None and column in source.columns
                if known or (source.columns is None and len(scope) == 2):
                    yield from _use((source, column), Role.JOIN)

    def _order(self, order: exp.Order) -> Iterator[ColumnUse]:
        if not isinstance(order.parent, exp.Select):
            return
        first: _Source | None = None
        aliases = {item.alias for item in order.parent.expressions if isinstance(item, exp.Alias)}
        for key in order.expressions:
            used = self._resolve(key.this)
            if used is None or (first is not None and used[0] != first):
                return
            if used[0].columns is None and used[1] in aliases and not key.this.args.get("table"):
                return
            first = used[0]
            descending = bool(key.args.get("desc"))
            nulls_first = bool(key.args.get("nulls_first"))
            yield from _use(used, Role.ORDER, True, descending, nulls_first)

    def _group(self, group: exp.Group) -> Iterator[ColumnUse]:
        for key in group.expressions:
            used = self._resolve(key)
            if used is not None:
                yield from _use(used, Role.GROUP)

    def _shown(self, column: exp.Column) -> Iterator[ColumnUse]:
        """A column in a select list or RETURNING, alone or in an expression."""
        if _is_shown(column) and (used := self._resolve(column)) is not None:
            yield from _use(used, Role.PROJECT)

    def _everything(self, star: exp.Star) -> Iterator[ColumnUse]:
        """`*` and `t.*`: all columns, where they are known."""
        whole = star.parent if isinstance(star.parent, exp.Column) else star
        if not isinstance(whole.parent, exp.Select | exp.Returning) or whole.arg_key == "hint":
            return
        owner = whole.find_ancestor(*_STATEMENTS)
        qualifier = folded(whole.args["table"]) if whole.args.get("table") else ""
        for name, source in self._scopes.get(id(owner), {}).items():
            if qualifier in ("", name):
                for column in source.columns or ():
                    yield from _use((source, column), Role.PROJECT)


def _use(
    used: tuple[_Source, str],
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


def _is_source(item: exp.Expr) -> bool:
    """Whether this stands where a name in the statement may mean it: FROM, JOIN, USING, target."""
    parent = item.parent
    if isinstance(parent, exp.From | exp.Join | exp.Lateral):
        return True
    return isinstance(item, exp.Table) or isinstance(parent, exp.Subquery | exp.Merge | exp.Delete)


def _is_shown(node: exp.Expr) -> bool:
    """Whether a node is part of its own query's select list, or of RETURNING."""
    child, parent = node, node.parent
    while parent is not None:
        if isinstance(parent, exp.Returning):
            return True
        if isinstance(parent, _STATEMENTS):
            return isinstance(parent, exp.Select) and child.arg_key == "expressions"
        child, parent = parent, parent.parent
    return False


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
