"""Whose column a name is: the tables of each query of a tree, and what is known of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from sqlglot import exp

from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema

Tables = Mapping[Relation, Collection[str]]
"""The columns of each known table, by its schema and name."""
STATEMENTS = (exp.Select, exp.Update, exp.Delete)
_DECIDING = (exp.Where, exp.Join)
_HOLDERS = (*_DECIDING, exp.Having, exp.Case, exp.Order, *STATEMENTS)
_CHANGING = frozenset({*_HOLDERS, exp.Or, exp.Not, exp.Returning})
"""Only inside of these a place is another one."""
_ITEMS = (exp.Table, exp.Subquery, exp.Lateral, exp.Unnest, exp.Values)
_MOST_SEARCHED = 100
"""Tables of a query among which a name without a qualifier is looked for."""


class Lookup(Protocol):
    """What is known of relations."""

    def relation(self, named: Relation) -> Relation | None:
        """The relation that a name means; None where that is not known."""
        ...

    def columns(self, relation: Relation) -> Collection[str] | None:
        """The names of its columns, in order if they have one; None where they are not known."""
        ...


@dataclass(frozen=True, slots=True)
class ByTables:
    """Only these tables are known; a bare name is that of `public`, or of the only one."""

    tables: Tables

    def relation(self, named: Relation) -> Relation | None:
        """See Lookup."""
        if named.schema:
            return named if named in self.tables else None
        found = sorted(relation for relation in self.tables if relation.name == named.name)
        public = Relation("public", named.name)
        return public if public in found else found[0] if len(found) == 1 else None

    def columns(self, relation: Relation) -> Collection[str] | None:
        """See Lookup."""
        return self.tables[relation]


@dataclass(frozen=True, slots=True)
class BySchema:
    """A relation that the schema does not know, and all where there is none, stays as written."""

    schema: Schema | None

    def relation(self, named: Relation) -> Relation | None:
        """See Lookup."""
        found = self.schema.find(named) if self.schema is not None else None
        return named if found is None else found.relation

    def columns(self, relation: Relation) -> Collection[str] | None:
        """See Lookup."""
        found = self.schema.relations.get(relation) if self.schema is not None else None
        return found.columns if found is not None and found.columns else None


class Source(NamedTuple):
    """A table in a FROM clause, or something else there: then `relation` is None."""

    number: int
    relation: Relation | None
    columns: Collection[str] | None = None


class Place(NamedTuple):
    """Where a node stands. `owner` is its query, and `outer` the place of that query.

    `deciding`: in a condition that decides which rows are wanted, and there, unless `always` is
    False, under no OR or NOT. `shown`: in its query's select list, or in RETURNING.
    """

    owner: exp.Expr | None = None
    outer: Place | None = None
    deciding: bool = False
    always: bool = True
    shown: bool = False


class Scopes:
    """The places of a tree's nodes, and the sources of its queries. Linear in the tree."""

    def __init__(self, tree: exp.Expr, known: Lookup) -> None:
        self._known = known
        self.nodes = list(_places(tree))
        self._place = {id(node): place for node, place in self.nodes}
        self._ctes = {
            folded(node.args["alias"].this)
            for node, _ in self.nodes
            if isinstance(node, exp.CTE) and node.alias
        }
        self._scopes = self._read_scopes()

    def place(self, node: exp.Expr) -> Place:
        """Where a node of the tree stands."""
        return self._place[id(node)]

    def of(self, owner: exp.Expr | None) -> Mapping[str, Source]:
        """The sources of a query by the names that it gives them."""
        return self._scopes.get(id(owner), {})

    def resolve(self, node: exp.Expr | None) -> tuple[Source, str] | None:
        """The source and name of a bare column, looked up from its query outwards."""
        while isinstance(node, exp.Paren):
            node = node.this
        if not isinstance(node, exp.Column) or not isinstance(node.this, exp.Identifier):
            return None
        if isinstance(node.parent, exp.Is) and node.arg_key == "expression":
            return None  # IS NORMALIZED
        column = folded(node.this)
        qualifier = folded(node.args["table"]) if node.args.get("table") else ""
        found = self._lookup(self.place(node), qualifier, column)
        return (found, column) if found is not None and found.relation is not None else None

    def _lookup(self, place: Place, qualifier: str, column: str) -> Source | None:
        at: Place | None = place
        while at is not None and at.owner is not None:
            sources = self._named(at.owner, qualifier)
            sure = [s for s in sources if s.columns is not None and column in s.columns]
            unsure = [s for s in sources if s.columns is None]
            if sure:
                return sure[0] if len(sure) == 1 and not unsure else None
            if unsure:
                if not qualifier and column in self.of(at.owner):
                    return None  # perhaps the whole row
                # What is not known to have the column may still leave it to an outer query.
                alone = len(unsure) == 1 and (qualifier != "" or self._ends_at(at))
                return unsure[0] if alone else None
            at = at.outer
        return None

    def _named(self, owner: exp.Expr, qualifier: str) -> list[Source]:
        scope = self.of(owner)
        if qualifier:
            return [scope[qualifier]] if qualifier in scope else []
        # Among so many nobody can tell, and to look through them for each name takes long.
        return list(scope.values()) if len(scope) <= _MOST_SEARCHED else [Source(0, None)] * 2

    def _ends_at(self, place: Place) -> bool:
        """Whether no outer query has a table that a name in this one could belong to."""
        at = place
        while at.outer is not None and at.owner is not None:
            if self.of(at.outer.owner):
                parent = at.owner.parent
                return isinstance(parent, exp.CTE) or (
                    isinstance(parent, exp.Subquery) and isinstance(parent.parent, exp.From)
                )
            at = at.outer
        return True

    def _read_scopes(self) -> dict[int, dict[str, Source]]:
        scopes: dict[int, dict[str, Source]] = {}
        number = 0
        for node, place in self.nodes:
            if isinstance(node, _ITEMS) and place.owner is not None and _is_source(node):
                name, source = self._source(number, node)
                scopes.setdefault(id(place.owner), {})[name] = source
                number += 1
        return scopes

    def _source(self, number: int, item: exp.Expr) -> tuple[str, Source]:
        alias = item.args.get("alias")
        given = folded(alias.this) if alias is not None and alias.this is not None else ""
        if not isinstance(item, exp.Table) or not isinstance(item.this, exp.Identifier):
            return given or f"({number}", Source(number, None)
        name, schema = folded(item.this), item.args.get("db")
        named = Relation(folded(schema) if schema is not None else "", name)
        hidden = not named.schema and name in self._ctes
        renamed = alias is not None and bool(alias.args.get("columns"))
        relation = None if hidden or renamed else self._known.relation(named)
        columns = None if relation is None else self._known.columns(relation)
        return given or name, Source(number, relation, columns)


def folded(identifier: exp.Expr) -> str:
    """A name as PostgreSQL folds it: lower case unless it was quoted."""
    name = str(identifier.this) if isinstance(identifier, exp.Identifier) else identifier.name
    return name if identifier.args.get("quoted") else name.lower()


def _places(tree: exp.Expr) -> Iterator[tuple[exp.Expr, Place]]:
    """Every node, a parent before its children and these in order. A loop: trees may be deep."""
    todo: list[tuple[exp.Expr, Place]] = [(tree, Place())]
    while todo:
        node, place = todo.pop()
        yield node, place
        inside = _inside(node, place)
        children = node.iter_expressions(reverse=True)
        if isinstance(node, exp.Select):
            shown = Place(node, place, shown=True)
            todo += [(one, shown if one.arg_key == "expressions" else inside) for one in children]
        else:
            todo += [(child, inside) for child in children]


def _inside(node: exp.Expr, place: Place) -> Place:
    """The place of a node's children."""
    if type(node) not in _CHANGING:
        return place
    if isinstance(node, STATEMENTS):
        return Place(node, place)
    if isinstance(node, _HOLDERS):
        return Place(place.owner, place.outer, isinstance(node, _DECIDING), True, place.shown)
    if isinstance(node, exp.Or | exp.Not) and place.always:
        return Place(place.owner, place.outer, place.deciding, False, place.shown)
    if isinstance(node, exp.Returning):
        return Place(place.owner, place.outer, shown=True)
    return place


def _is_source(item: exp.Expr) -> bool:
    """Whether this stands where a name in the statement may mean it: FROM, JOIN, USING, target."""
    parent = item.parent
    if isinstance(parent, exp.From | exp.Join | exp.Lateral):
        return True
    return isinstance(item, exp.Table) or isinstance(parent, exp.Subquery | exp.Merge | exp.Delete)
