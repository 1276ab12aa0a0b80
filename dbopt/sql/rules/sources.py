"""Which table a column of a SELECT belongs to, and what the schema says of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlglot import exp

from dbopt.sql.columns import folded
from dbopt.sql.query import Relation
from dbopt.sql.schema import Schema, SchemaColumn, SchemaRelation


@dataclass(frozen=True, slots=True, eq=False)
class Source:
    """Something in FROM: its name there, and its table if it is one that the schema knows."""

    name: str
    node: exp.Expr
    relation: SchemaRelation | None

    def column(self, name: str) -> SchemaColumn | None:
        """A column of its table, if known."""
        return self.relation.columns.get(name) if self.relation is not None else None


def sources(statement: exp.Expr, schema: Schema | None) -> list[Source]:
    """What a SELECT, UPDATE or DELETE reads, in order; the target of a write comes first."""
    parts: list[exp.Expr | None] = []
    if isinstance(statement, exp.Update | exp.Delete):
        parts.append(statement.this)
    parts += [using for using in statement.args.get("using") or [] if isinstance(using, exp.Expr)]
    clause = statement.args.get("from_")
    parts.append(clause.this if isinstance(clause, exp.From) else None)
    joins = list(statement.args.get("joins") or [])
    for part in list(parts):
        joins += list(part.args.get("joins") or []) if isinstance(part, exp.Table) else []
    parts += [join.this for join in joins]
    ctes = _ctes(statement)
    return [_source(part, schema, ctes) for part in parts if part is not None]


def source_of(column: exp.Expr | None, among: Sequence[Source]) -> Source | None:
    """The source of a column, None where that cannot be told."""
    if not isinstance(column, exp.Column) or not isinstance(column.this, exp.Identifier):
        return None
    if column.args.get("table") is not None:
        qualifier = folded(column.args["table"])
        named = [source for source in among if source.name == qualifier]
        return named[0] if len(named) == 1 and column.args.get("db") is None else None
    name = folded(column.this)
    if any(source.relation is None for source in among):
        return among[0] if len(among) == 1 else None
    having = [source for source in among if source.column(name) is not None]
    return having[0] if len(having) == 1 else None


def column_of(column: exp.Expr | None, among: Sequence[Source]) -> SchemaColumn | None:
    """What the schema knows of a column, if anything."""
    source = source_of(column, among)
    if source is None or not isinstance(column, exp.Column):
        return None
    return source.column(folded(column.this))


def keys(relation: SchemaRelation | None) -> Iterator[frozenset[str]]:
    """Sets of columns that no two rows share: unique without a predicate, and none may be NULL.

    Of another collation or operator class, 'a' and 'A' may be two values to the index and one
    to DISTINCT and UNION.
    """
    for index in relation.indexes if relation is not None else ():
        plain = (key for key in index.keys if key.is_column and not (key.collation or key.opclass))
        names = frozenset(key.expression for key in plain)
        whole = len(names) == len(index.keys) and not index.predicate
        if index.unique and whole and relation is not None and _not_null(relation, names):
            yield names


def is_key(relation: SchemaRelation | None, names: frozenset[str]) -> bool:
    """Whether these columns hold a key of the table."""
    return any(key <= names for key in keys(relation))


def is_named(node: exp.Expr | None) -> bool:
    """Whether a name in FROM: a table, a view or a CTE, and no function or subquery."""
    return isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier)


def statement_of(node: exp.Expr) -> exp.Expr | None:
    """The SELECT, UPDATE or DELETE that a node stands in."""
    return node.find_ancestor(exp.Select, exp.Update, exp.Delete)


def _not_null(relation: SchemaRelation, names: frozenset[str]) -> bool:
    columns = [relation.columns.get(name) for name in names]
    return all(column is not None and column.not_null for column in columns)


def _source(node: exp.Expr, schema: Schema | None, ctes: frozenset[str]) -> Source:
    alias = node.args.get("alias")
    named = alias.this if isinstance(alias, exp.TableAlias) and alias.this else None
    if not isinstance(node, exp.Table) or not is_named(node):
        return Source(folded(named) if named is not None else "", node, None)
    name = folded(named if named is not None else node.this)
    renames = isinstance(alias, exp.TableAlias) and bool(alias.args.get("columns"))
    is_cte = node.args.get("db") is None and folded(node.this) in ctes
    known = schema is not None and not renames and not is_cte
    return Source(name, node, schema.find(_relation(node)) if known and schema else None)


def _relation(table: exp.Table) -> Relation:
    schema = table.args.get("db")
    return Relation(folded(schema) if schema is not None else "", folded(table.this))


def _ctes(statement: exp.Expr) -> frozenset[str]:
    """The names of the CTEs of this statement and of those around it, seen from there or not."""
    names: set[str] = set()
    node: exp.Expr | None = statement
    while node is not None:
        clause = node.args.get("with_")
        for cte in clause.expressions if isinstance(clause, exp.With) else ():
            if cte.args.get("alias") is not None:
                names.add(folded(cte.args["alias"].this))
        node = node.parent
    return frozenset(names)
