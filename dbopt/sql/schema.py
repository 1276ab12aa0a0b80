"""Schema: what the analysis may know of a database. PURE; `dbopt.pg.schema` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dbopt.sql.indexdef import IndexDefinition
from dbopt.sql.query import Relation

ALWAYS_FIRST = ("pg_temp", "pg_catalog")
"""Schemas that are searched before the search_path, unless it names them."""


class RelationKind(StrEnum):
    """What a relation is; the values are pg_class.relkind."""

    TABLE = "r"
    PARTITIONED = "p"
    VIEW = "v"
    MATERIALIZED = "m"
    FOREIGN = "f"
    SEQUENCE = "S"


@dataclass(frozen=True, slots=True)
class SchemaColumn:
    """A column; `type` as SQL writes it. `distinct` is pg_stats.n_distinct, 0 where unknown.

    `not_null`: no row that a query of its table gives has a NULL there.
    """

    name: str
    type: str
    not_null: bool = False
    distinct: float = 0.0


@dataclass(frozen=True, slots=True)
class SchemaRelation:
    """A relation. `rows` is the planner's estimate and `size_bytes` without indexes.

    `row_security`: policies may hide rows of it, or it is not known whether they do. `indexes`
    are the valid ones, and one is `unique` if at no time a query gives two rows with its keys:
    a deferrable one is not, nor is one of a table that others inherit from. Of a view, `reads`
    are the relations that it stands on, views among them expanded, and `functions` those that it
    calls (schema, name).
    """

    relation: Relation
    kind: RelationKind = RelationKind.TABLE
    columns: Mapping[str, SchemaColumn] = field(default_factory=dict)
    rows: float = 0.0
    size_bytes: int = 0
    indexes: tuple[IndexDefinition, ...] = ()
    reads: tuple[Relation, ...] = ()
    functions: tuple[tuple[str, str], ...] = ()
    row_security: bool = True


@dataclass(frozen=True, slots=True)
class Schema:
    """All that is known. `functions` are those outside pg_catalog: (schema, name) → the worst
    volatility of that name, as in pg_proc.provolatile: "i", "s" or "v"."""

    relations: Mapping[Relation, SchemaRelation] = field(default_factory=dict)
    search_path: tuple[str, ...] = ("public",)
    functions: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def find(self, named: Relation) -> SchemaRelation | None:
        """The relation that a name in a statement means, through the search_path."""
        if named.schema:
            return self.relations.get(named)
        for schema in self.path:
            found = self.relations.get(Relation(schema, named.name))
            if found is not None:
                return found
        return None

    def volatility(self, schema: str, name: str) -> str:
        """The volatility of a function that is not PostgreSQL's own; "" where it is unknown."""
        for where in (schema,) if schema else self.path:
            found = self.functions.get((where, name))
            if found is not None:
                return found
        return ""

    @property
    def path(self) -> tuple[str, ...]:
        """The schemas that a bare name is looked up in, in order."""
        first = tuple(name for name in ALWAYS_FIRST if name not in self.search_path)
        return (*first, *self.search_path)
