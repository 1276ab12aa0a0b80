"""An index that is not unique and has many key columns."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity

MOST = 3
"""Key columns: as squawk and strong_migrations have it."""
_ORDERED = frozenset({"btree", "gist"})


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    keys = len(definition.keys)
    if keys > MOST and not definition.unique and definition.method in _ORDERED:
        yield Match(
            entry,
            f'"{definition.name}" has {keys} key columns; more than {MOST} seldom help.',
            evidence={"columns": keys},
        )


RULE = Rule(
    name="too-many-columns",
    severity=Severity.WARNING,
    summary="More than three key columns, and not unique.",
    reason=(
        "After the first columns few rows are left to find, while each column makes the index "
        "larger and keeps more updates from being HOT."
    ),
    remedy="Keep the columns that select most; put what is only read into INCLUDE.",
    fires="CREATE INDEX a ON t (v, w, x, y);",
    passes="CREATE UNIQUE INDEX a ON t (v, w, x, y); CREATE INDEX b ON t (v, w, x);",
    check=each(_check),
)
