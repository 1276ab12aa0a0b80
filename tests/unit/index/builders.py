"""Small catalogs, for rules that are pure functions of one."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from dbopt.pg.catalog import Catalog, Column, ForeignKey, Index, Table
from dbopt.sql.indexdef import IndexDefinition, IndexKey

NOW = datetime(2026, 11, 22, tzinfo=UTC)
_oids = count(1000)


def table(name: str = "t", *columns: str, **facts: Any) -> Table:
    defined = tuple(Column(column, "integer") for column in columns or ("a", "b", "c"))
    return Table(**{"oid": 1, "schema": "s", "name": name, "columns": defined, **facts})


def index(name: str, *columns: str, on: Table | None = None, **facts: Any) -> Index:
    """An index; a fact that IndexDefinition knows goes there."""
    of = on or table()
    definition = IndexDefinition(name, of.schema, of.name, "btree", tuple(map(IndexKey, columns)))
    known = {key: facts.pop(key) for key in list(facts) if hasattr(definition, key)}
    return Index(
        oid=next(_oids), table_oid=of.oid, definition=replace(definition, **known), **facts
    )


def foreign_key(*columns: str, on: Table | None = None) -> ForeignKey:
    return ForeignKey("fk", (on or table()).oid, columns, 99, "s.other")


def catalog(
    tables: list[Table] | None = None,
    indexes: list[Index] | None = None,
    foreign_keys: list[ForeignKey] | None = None,
    days: float = 30,
    **facts: Any,
) -> Catalog:
    return Catalog(
        tables=tuple(tables if tables is not None else [table(rows=5000)]),
        indexes=tuple(indexes or ()),
        foreign_keys=tuple(foreign_keys or ()),
        version=18,
        taken=NOW,
        stats_since=NOW - timedelta(days=days),
        **facts,
    )
