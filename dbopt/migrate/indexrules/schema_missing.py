"""A table without its schema."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    unqualified = [one for one in found.by_table(entry) if not one.definition.schema]
    # One finding a table says it all.
    if unqualified[:1] == [entry]:
        yield Match(entry, f'"{entry.definition.table}" is named without its schema.')


RULE = Rule(
    name="schema-missing",
    severity=Severity.INFO,
    summary="A table that is named without its schema.",
    reason="Which table is meant depends on the search_path of the role that applies it.",
    remedy="Write schema.table.",
    fires="CREATE INDEX a ON t (x);",
    passes="CREATE INDEX a ON public.t (x);",
    check=each(_check),
)
