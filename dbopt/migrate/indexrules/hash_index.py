"""A hash index."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    if entry.definition.method == "hash":
        yield Match(entry, "A hash index serves = alone.")


RULE = Rule(
    name="hash-index",
    severity=Severity.INFO,
    summary="A hash index.",
    reason=(
        "It serves = and nothing else: no order, no range, no IS NULL, no index-only scan. It pays "
        "for long values that are only ever compared whole."
    ),
    remedy="Use btree, unless the values are long and a measurement speaks for hash.",
    fires="CREATE INDEX a ON t USING hash (x);",
    passes="CREATE INDEX a ON t (x);",
    check=each(_check),
)
