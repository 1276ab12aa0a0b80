"""CONCURRENTLY or IF NOT EXISTS in a declaration."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each, words
from dbopt.sql.findings import Severity


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    written = words(entry.sql)
    head = f" {' '.join(written[: written.index('on')] if 'on' in written else written)} "
    said = [name for name in ("concurrently", "if not exists") if f" {name} " in head]
    if said:
        yield Match(entry, f"{' and '.join(map(str.upper, said))} in a declaration says nothing.")


RULE = Rule(
    name="superfluous-words",
    severity=Severity.INFO,
    summary="CONCURRENTLY or IF NOT EXISTS in a declaration.",
    reason=(
        "Declared indexes are built concurrently and compared by meaning. IF NOT EXISTS, run by "
        "hand, takes an invalid index for a good one."
    ),
    remedy="Write plain CREATE INDEX.",
    fires="CREATE INDEX CONCURRENTLY IF NOT EXISTS a ON t (x);",
    passes="CREATE INDEX a ON t (x);",
    check=each(_check),
)
