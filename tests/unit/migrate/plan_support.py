"""A catalog of a few tables, and indexes of one column, for tests of plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from dbopt.migrate.plan import Step, Wanted, make_plan
from dbopt.pg.catalog import Catalog, Index, Relation, Table
from dbopt.sql.indexdef import IndexDefinition, IndexKey

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PLAIN = Table(1, "public", "t")
OTHER = Table(2, "public", "u")
PARENT = Table(3, "public", "p", partitioned=True)
LEAF = Table(4, "public", "p1", parent=3)
BRANCH = Table(5, "public", "ps", partitioned=True, parent=3)
TWIG = Table(6, "public", "ps1", parent=5)
TABLES = (PLAIN, OTHER, PARENT, LEAF, BRANCH, TWIG)


def define(name: str, column: str = "a", table: str = "t", **more: Any) -> IndexDefinition:
    return IndexDefinition(name, "public", table, "btree", (IndexKey(column),), **more)


def index(
    oid: int, name: str, column: str = "a", table: Table = PLAIN, unique: bool = False, **more: Any
) -> Index:
    definition = define(name, column, table.name, unique=unique)
    partitioned = table.partitioned
    return Index(
        oid, table.oid, definition, partitioned=partitioned, sql=definition.create_sql(), **more
    )


def snapshot(*indexes: Index, **more: Any) -> Catalog:
    made = Catalog(TABLES, tuple(indexes), (), version=18, taken=NOW, stats_since=NOW)
    return replace(made, **more)


def view(name: str) -> Relation:
    return Relation("public", name, "view")


def planned(declared: Sequence[IndexDefinition], *indexes: Index, **options: Any) -> list[Step]:
    return make_plan([Wanted(one, one.name) for one in declared], snapshot(*indexes), **options)


def told(steps: Sequence[Step]) -> list[tuple[str, str, str | None]]:
    """Action, name and the existing index's name of each."""
    return [
        (s.action.value, s.definition.name, s.existing.name if s.existing else None) for s in steps
    ]
