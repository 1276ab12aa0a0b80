"""A large table that is read from end to end, again and again."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.pg.catalog import Catalog, Table
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding, Severity

RULE = "seq_scan"
FEW = 10
"""Fewer scans may be backups and index builds."""


def check(catalog: Catalog, settings: IndexSettings) -> Iterator[Finding]:
    """Tables whose rows are mostly read by sequential scans that are long on average."""
    if not catalog.counted:
        yield Finding(
            rule=RULE,
            severity=Severity.INFO,
            object="database",
            message="Scans are not counted, so tables read from end to end are not known.",
            remedy="ALTER SYSTEM SET track_counts = on;",
            examined=False,
        )
        return
    for table in catalog.tables:
        if _heavy(table, settings):
            yield _finding(catalog, table)


def _heavy(table: Table, settings: IndexSettings) -> bool:
    return (
        table.rows >= settings.min_table_rows
        and table.seq_scan >= FEW
        and table.seq_tup_read >= table.idx_tup_fetch
        and table.seq_tup_read / table.seq_scan >= settings.seq_scan_rows
    )


def _finding(catalog: Catalog, table: Table) -> Finding:
    rows = round(table.seq_tup_read / table.seq_scan)
    return Finding(
        rule=RULE,
        severity=Severity.WARNING,
        object=str(table),
        message=f"Read from end to end {table.seq_scan} times, {rows} rows each time on average. "
        "`dbopt index advise` looks for an index.",
        evidence={
            "rows": table.rows,
            "size_bytes": table.size_bytes,
            "seq_scan": table.seq_scan,
            "seq_tup_read": table.seq_tup_read,
            "rows_per_scan": rows,
            "idx_scan": table.idx_scan,
            "n_dead": table.n_dead,
            "stats_since": catalog.stats_since.isoformat(),
            "stats_age_s": round(catalog.stats_age),
        },
    )
