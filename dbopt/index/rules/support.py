"""What several rules need: evidence in one form, names, remedies."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from dbopt.pg.catalog import Catalog, ForeignKey, Index
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding
from dbopt.sql.indexdef import IndexDefinition, IndexKey, quote_name

Rule = Callable[[Catalog, IndexSettings], Iterable[Finding]]

MAX_NAME = 63
"""Bytes: NAMEDATALEN - 1. PostgreSQL cuts a longer name."""

_SEARCHES_BY_EQUALITY = ("btree", "hash")


def evidence(catalog: Catalog, index: Index) -> dict[str, Any]:
    """What speaks for or against an index: its size in bytes, its scans and over what time."""
    return {
        "index": str(index),
        "definition": index.sql,
        "size_bytes": index.size_bytes,
        "scans": index.scans,
        "stats_since": catalog.stats_since.isoformat(),
        "stats_age_s": round(catalog.stats_age),
    }


def quoted(*names: str) -> str:
    """A qualified identifier, quoted where it must be."""
    return ".".join(map(quote_name, names))


def drop(index: Index) -> str:
    """The remedy that drops an index, without stopping anyone where PostgreSQL can do that."""
    # On a partitioned table it drops nothing concurrently.
    concurrently = "" if index.partitioned else "CONCURRENTLY "
    return f"DROP INDEX {concurrently}{quoted(index.definition.schema, index.name)};"


def supports(index: Index, key: ForeignKey) -> bool:
    """Whether deleting or updating a referenced row can find the referencing rows by it.

    The leading keys must be the foreign key's columns, in any order; a predicate may only say
    that one of them is not null, which every such search implies.
    """
    leading = index.definition.keys[: len(key.columns)]
    return (
        index.table_oid == key.table_oid
        and index.valid
        and index.definition.method in _SEARCHES_BY_EQUALITY
        and all(part.is_column for part in leading)
        and sorted(part.expression for part in leading) == sorted(key.columns)
        and (not index.definition.predicate or _only_not_null(index.definition.predicate, key))
    )


def supported(catalog: Catalog, key: ForeignKey) -> bool:
    """Whether some index supports the foreign key: one of its table's, or, where that is
    partitioned, one in each partition."""
    indexes = catalog.indexes_by_table.get(key.table_oid, ())
    if any(supports(index, key) for index in indexes):
        return True
    parts = catalog.partitions.get(key.table_oid, ())
    return bool(parts) and all(
        supported(catalog, replace(key, table_oid=part.oid)) for part in parts
    )


def _only_not_null(predicate: str, key: ForeignKey) -> bool:
    bare = predicate.strip("() ").replace('"', "")
    return bare in {f"{column} IS NOT NULL" for column in key.columns}


def supports_foreign_key(catalog: Catalog, index: Index) -> bool:
    """Whether any foreign key can use it: its checks do not count as scans of the index.

    A partition's index serves the foreign key of the partitioned table.
    """
    return any(
        supports(index, replace(key, table_oid=index.table_oid))
        for oid in _ancestors(catalog, index.table_oid)
        for key in catalog.foreign_keys_by_table.get(oid, ())
    )


def _ancestors(catalog: Catalog, oid: int | None) -> Iterator[int]:
    while oid is not None:
        yield oid
        table = catalog.by_oid.get(oid)
        oid = table.parent if table else None


def btree(schema: str, table: str, columns: Sequence[str]) -> IndexDefinition:
    """A plain btree over the columns, named as PostgreSQL would name it."""
    return IndexDefinition(
        name=index_name(table, columns),
        schema=schema,
        table=table,
        method="btree",
        keys=tuple(IndexKey(column) for column in columns),
    )


def index_name(table: str, columns: Sequence[str]) -> str:
    """`table_column_…_idx`, cut in the middle to what PostgreSQL keeps."""
    stem = "_".join((table, *columns)).encode()[: MAX_NAME - len("_idx")]
    return stem.decode(errors="ignore") + "_idx"
