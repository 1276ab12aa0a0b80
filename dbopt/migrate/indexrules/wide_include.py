"""Many columns in INCLUDE."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity

MOST = 5


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    included = len(entry.definition.include)
    if included > MOST:
        yield Match(
            entry,
            f"INCLUDE has {included} columns: the index becomes another table.",
            evidence={"columns": included},
        )


RULE = Rule(
    name="wide-include",
    severity=Severity.WARNING,
    summary="More than five columns in INCLUDE.",
    reason=(
        "An index-only scan pays while the index is much smaller than the table; and an update of "
        "any included column is not HOT."
    ),
    remedy="Include what the one query reads that must be fast.",
    fires="CREATE INDEX a ON t (x) INCLUDE (c, d, e, f, g, h);",
    passes="CREATE INDEX a ON t (x) INCLUDE (c, d);",
    check=each(_check),
)
