"""Two declared indexes of one meaning."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Match, Rule
from dbopt.sql.findings import Severity


def _check(found: Declarations) -> Iterator[Match]:
    for at, entry in enumerate(found.entries):
        for first in found.by_table(entry):
            if first is entry:
                break
            if entry.definition.same_as(first.definition):
                yield Match(
                    entry,
                    f'"{entry.definition.name}" is the same index as '
                    f'"{first.definition.name}" ({first.where}).',
                    evidence={"twin": first.definition.name, "number": at + 1},
                )
                break


RULE = Rule(
    name="duplicate-index",
    severity=Severity.WARNING,
    summary="Two declared indexes that mean the same.",
    reason="Each write keeps both, and no query needs the second one.",
    remedy="Declare it once.",
    fires="CREATE INDEX a ON t (x); CREATE INDEX b ON t USING btree (x ASC NULLS LAST);",
    passes="CREATE INDEX a ON t (x); CREATE INDEX b ON t (x DESC, y);",
    check=_check,
)
