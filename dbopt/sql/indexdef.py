"""IndexDefinition: what an index is, however it was written down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class IndexKey:
    """One key: a column name (folded as PostgreSQL folds it) or an expression's SQL."""

    expression: str
    is_column: bool = True
    opclass: str = ""
    collation: str = ""
    descending: bool = False
    nulls_first: bool = False


@dataclass(frozen=True, slots=True)
class IndexDefinition:
    """An index by meaning. `name` and `schema` take no part in `same_as` and `covers`."""

    name: str
    schema: str
    table: str
    method: str
    keys: tuple[IndexKey, ...]
    include: tuple[str, ...] = ()
    predicate: str = ""
    unique: bool = False
    nulls_not_distinct: bool = False
