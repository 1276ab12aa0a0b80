"""An index that another declared one serves as well."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    ours = entry.definition
    for other in found.by_table(entry):
        theirs = other.definition
        if other is not entry and theirs.covers(ours) and not theirs.same_as(ours):
            yield Match(
                entry,
                f'All that "{ours.name}" serves, "{theirs.name}" ({other.where}) serves too.',
                evidence={"covered_by": theirs.name},
            )
            return


RULE = Rule(
    name="redundant-index",
    severity=Severity.WARNING,
    summary="An index whose columns another declared one starts with.",
    reason=(
        "A btree serves conditions on its leading columns too, so the shorter one costs writes, "
        "disk and cache for little."
    ),
    remedy=(
        "Drop the shorter one; keep it, with `-- dbopt:ignore redundant-index reason`, where it is "
        "much smaller and read very often."
    ),
    fires="CREATE INDEX a ON t (x); CREATE INDEX b ON t (x, y);",
    passes="CREATE INDEX a ON t (x); CREATE INDEX b ON t (y, x);",
    check=each(_check),
)
