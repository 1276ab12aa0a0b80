"""A foreign key without an index: each delete of a referenced row reads the whole table."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.index.rules.support import btree, supported
from dbopt.pg.catalog import Catalog, ForeignKey, Table
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding, Severity

RULE = "missing_foreign_key_index"
_PARTITIONED = (
    " It is partitioned: to let nobody wait, build the index concurrently in each partition first."
)


def check(catalog: Catalog, settings: IndexSettings) -> Iterator[Finding]:
    """Foreign keys of tables with at least `min_table_rows` rows that no index supports."""
    for key in catalog.foreign_keys:
        table = catalog.by_oid.get(key.table_oid)
        if table is None or catalog.rows(table) < settings.min_table_rows:
            continue
        if not supported(catalog, key):
            yield _finding(catalog, table, key)


def _finding(catalog: Catalog, table: Table, key: ForeignKey) -> Finding:
    definition = btree(table.schema, table.name, key.columns)
    return Finding(
        rule=RULE,
        severity=Severity.WARNING,
        object=f"{table}({', '.join(key.columns)})",
        message=f"No index for the foreign key {key.name} to {key.referenced}: deleting a row "
        f"there reads all of this table.{_PARTITIONED if table.partitioned else ''}",
        evidence={
            "constraint": key.name,
            "referenced": key.referenced,
            "rows": catalog.rows(table),
            "size_bytes": table.size_bytes,
            "seq_scan": table.seq_scan,
        },
        # PostgreSQL builds nothing concurrently on a partitioned table.
        remedy=definition.create_sql(concurrently=not table.partitioned) + ";",
    )
