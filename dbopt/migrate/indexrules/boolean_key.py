"""An index on a boolean alone."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    if len(definition.keys) > 1 or definition.predicate:
        return
    column = found.column(entry, definition.keys[0].expression)
    if column is not None and column.type == "boolean" and definition.keys[0].is_column:
        yield Match(entry, f'"{column.name}" is a boolean: two values cannot select much.')


RULE = Rule(
    name="boolean-key",
    severity=Severity.WARNING,
    summary="An index on a boolean alone.",
    reason="Half of it is rows that nobody looks for; the other half is no use if it is large.",
    remedy="Make it partial: CREATE INDEX ... ON table (the column to sort by) WHERE flag.",
    fires="CREATE INDEX a ON t (flag);",
    passes="CREATE INDEX a ON t (id) WHERE flag; CREATE INDEX b ON t (flag, id);",
    check=each(_check),
    needs_schema=True,
)
