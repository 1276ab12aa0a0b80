"""A name that is not of the house's pattern."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each, pattern_for
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    if not found.pattern:
        return
    if pattern_for(found.pattern, definition.table).fullmatch(definition.name) is None:
        yield Match(entry, f'The name "{definition.name}" is not as {found.pattern} wants it.')


RULE = Rule(
    name="name-pattern",
    severity=Severity.WARNING,
    summary="A name that is not of the pattern in migrate.index_names.",
    reason="Names of one pattern say in a plan, a log and pg_stat which table and columns it is.",
    remedy="Rename it here: `dbopt index apply` renames the index, which takes a moment.",
    fires="CREATE INDEX fast ON t (x);",
    passes="CREATE INDEX t_x_idx ON t (x);",
    check=each(_check),
)
