"""An index that a constraint's serves as well."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    relation, ours = found.relation(entry), entry.definition
    declared = {one.definition.name for one in found.by_table(entry)}
    for theirs in relation.indexes if relation is not None else ():
        if theirs.unique and theirs.name not in declared and theirs.covers(ours):
            yield Match(
                entry,
                f'The unique index "{theirs.name}" of the database serves all of it.',
                evidence={"covered_by": theirs.name},
            )
            return


RULE = Rule(
    name="covered-by-constraint",
    severity=Severity.WARNING,
    summary="The primary key, or a unique constraint, starts with the same columns.",
    reason="A constraint has an index of its own, and it serves conditions on its columns.",
    remedy="Take the declaration out.",
    fires="CREATE INDEX a ON t (id);",
    passes="CREATE INDEX a ON t (maybe, id);",
    check=each(_check),
    needs_schema=True,
)
