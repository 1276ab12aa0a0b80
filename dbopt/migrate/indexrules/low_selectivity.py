"""An index that finds a large part of its table."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity

FEWEST_ROWS = 1000
"""Of a smaller table a sequential scan is as good."""
FEWEST_VALUES = 10


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    definition, relation = entry.definition, found.relation(entry)
    if relation is None or definition.unique or definition.predicate:
        return
    first = definition.keys[0]
    column = relation.columns.get(first.expression) if first.is_column else None
    if column is None or definition.method not in {"btree", "hash"}:
        return
    few = 0 < column.distinct < FEWEST_VALUES and relation.rows >= FEWEST_ROWS
    if few and column.type != "boolean":
        yield Match(
            entry,
            f'"{column.name}" has about {column.distinct:.0f} values in '
            f"{relation.rows:.0f} rows: each of them is a large part of the table.",
            severity=Severity.INFO if len(definition.keys) > 1 else None,
            evidence={"key": column.name, "distinct": column.distinct, "rows": relation.rows},
        )


RULE = Rule(
    name="low-selectivity",
    severity=Severity.WARNING,
    summary="The leading column has few values.",
    reason="Where a value is in a tenth of the rows, the planner reads the table instead.",
    remedy=(
        "Make it partial (WHERE column = the rare value), put a column that selects more first, "
        "or leave it out."
    ),
    fires="CREATE INDEX a ON t (status);",
    passes="CREATE INDEX a ON t (id, status); CREATE INDEX b ON t (status) WHERE id > 5;",
    check=each(_check),
    needs_schema=True,
)
