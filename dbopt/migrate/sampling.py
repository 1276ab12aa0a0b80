"""Samples of a table: a few pages, in one bounded query that may be refused."""

from __future__ import annotations

from dbopt.migrate.sizes import PAGE
from dbopt.pg import look
from dbopt.pg.connect import Connection, Row
from dbopt.pg.ddl import ServerError
from dbopt.sql.indexdef import quote_name

SAMPLE_PAGES = 100
SAMPLE_ROWS = 2000
"""What is read of a table at most."""


def sample(table: look.Table) -> str:
    """TABLESAMPLE for some SAMPLE_PAGES pages; "" for a table that has no more."""
    pages = table.size_bytes / PAGE
    if pages <= SAMPLE_PAGES:
        return ""
    return f"TABLESAMPLE SYSTEM ({100 * SAMPLE_PAGES / pages:.6f}) REPEATABLE (1)"


def distinct(sampled: float, found: float, once: float, rows: float) -> float:
    """Distinct values of all rows from those of a sample, `once` of which it holds once: Duj1 of
    Haas and Stokes, "Estimating the number of classes in a finite population", 1998, as ANALYZE
    has it."""
    if not sampled or rows <= sampled:
        return found
    return sampled * found / (sampled - once + once * sampled / rows)


def tried(connection: Connection, table: look.Table, text: str) -> list[Row]:
    """The rows of a query of that table; none where it is locked, or the server refuses, as of a
    type without such a function."""
    if table.locked:
        return []
    try:
        # Rolled back, so that the lock on the table goes with the query, not with all the looks.
        with connection.transaction(force_rollback=True):
            return look.run(connection, text)
    except ServerError:
        if connection.broken:
            raise
        return []


def table_name(table: look.Table) -> str:
    """The table as SQL."""
    return f"{quote_name(table.schema)}.{quote_name(table.name)}"
