"""A table or a column that the database does not have."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity
from dbopt.sql.schema import RelationKind

_INDEXED = frozenset({RelationKind.TABLE, RelationKind.PARTITIONED, RelationKind.MATERIALIZED})


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    relation, definition = found.relation(entry), entry.definition
    if relation is None:
        yield Match(entry, f'The database has no table "{definition.table}".')
        return
    if relation.kind not in _INDEXED:
        yield Match(entry, f'"{definition.table}" is no table: it takes no index.')
        return
    keys = [key.expression for key in definition.keys if key.is_column]
    for name in [*keys, *definition.include]:
        if relation.columns and name not in relation.columns:
            near = difflib.get_close_matches(name, relation.columns, n=1)
            hint = f'Did you mean "{near[0]}"?' if near else ""
            yield Match(entry, f'"{definition.table}" has no column "{name}".', hint)


RULE = Rule(
    name="unknown-column",
    severity=Severity.CRITICAL,
    summary="A table or a column that the database does not have.",
    reason="The build fails, after the migrations before it were applied.",
    remedy="Correct the name, or apply the migration that makes it first.",
    fires="CREATE INDEX a ON t (idd);",
    passes="CREATE INDEX a ON t (id);",
    check=each(_check),
    needs_schema=True,
)
