"""A unique index that lets NULLs in many times."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each, words
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    if not definition.unique or definition.nulls_not_distinct:
        return
    where = " ".join(words(definition.predicate))
    for key in definition.keys:
        column = found.column(entry, key.expression) if key.is_column else None
        if column is None or column.not_null or f"{key.expression} is not null" in where:
            continue
        yield Match(
            entry,
            f'"{column.name}" may be NULL, and rows with a NULL never conflict.',
            evidence={"key": column.name},
        )
        return


RULE = Rule(
    name="nullable-unique",
    severity=Severity.INFO,
    summary="UNIQUE over a column that may be NULL, without NULLS NOT DISTINCT.",
    reason="NULLs are distinct to a unique index: it lets the same row in again and again.",
    remedy=(
        "Write NULLS NOT DISTINCT (PostgreSQL 15), make the column NOT NULL, or say "
        "WHERE column IS NOT NULL if it is meant so."
    ),
    fires="CREATE UNIQUE INDEX a ON t (maybe);",
    passes=(
        "CREATE UNIQUE INDEX a ON t (id); CREATE UNIQUE INDEX b ON t (maybe) NULLS NOT DISTINCT;"
    ),
    check=each(_check),
    needs_schema=True,
)
