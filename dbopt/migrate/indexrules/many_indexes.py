"""A table with many declared indexes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Match, Rule
from dbopt.sql.findings import Severity

MOST = 10


def _check(found: Declarations) -> Iterator[Match]:
    seen: Counter[tuple[str, str]] = Counter()
    for entry in found.entries:
        seen[entry.table] += 1
        if seen[entry.table] == MOST + 1:
            count = len(found.by_table(entry))
            yield Match(
                entry,
                f'"{entry.definition.table}" has {count} declared indexes.',
                evidence={"indexes": count},
            )


RULE = Rule(
    name="many-indexes",
    severity=Severity.INFO,
    summary="More than ten declared indexes on one table.",
    reason="An INSERT writes to all of them, and so does each UPDATE that is not HOT.",
    remedy="Drop what `dbopt index audit` finds unused, and what others cover.",
    fires="".join(f"CREATE INDEX i{n} ON t (c{n}); " for n in range(MOST + 1)),
    passes="".join(f"CREATE INDEX i{n} ON t (c{n}); " for n in range(MOST)),
    check=_check,
)
