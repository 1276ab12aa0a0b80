"""An order that a backward scan gives anyway."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    keys = definition.keys
    if definition.method == "btree" and all(key.descending and key.nulls_first for key in keys):
        yield Match(entry, "All keys are DESC: a plain btree, read backward, is the same.")


RULE = Rule(
    name="descending-alone",
    severity=Severity.INFO,
    summary="DESC on every key.",
    reason=(
        "A btree is read in both directions. DESC matters where directions are mixed, or NULLS "
        "are to be elsewhere; else it only hides that two indexes are alike."
    ),
    remedy="Leave DESC out.",
    fires="CREATE INDEX a ON t (x DESC);",
    passes="CREATE INDEX a ON t (x, y DESC); CREATE INDEX b ON t (x DESC NULLS LAST);",
    check=each(_check),
)
