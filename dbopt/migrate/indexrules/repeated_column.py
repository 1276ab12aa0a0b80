"""A column that is in an index twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    keys = Counter((key.expression, key.opclass) for key in definition.keys)
    for (expression, _), count in keys.items():
        if count > 1:
            yield Match(entry, f'"{expression}" is a key {count} times.')
    columns = {key.expression for key in definition.keys if key.is_column}
    for name, count in Counter(definition.include).items():
        if name in columns:
            yield Match(entry, f'"{name}" is a key, and included too.')
        elif count > 1:
            yield Match(entry, f'"{name}" is included {count} times.')


RULE = Rule(
    name="repeated-column",
    severity=Severity.WARNING,
    summary="A column that is in an index more than once.",
    reason="The second one selects nothing, and takes its place in every entry.",
    remedy="Name it once.",
    fires="CREATE INDEX a ON t (x, y, x);",
    passes="CREATE INDEX a ON t (x, y) INCLUDE (z);",
    check=each(_check),
)
