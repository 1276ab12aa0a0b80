"""An index without a reason or an owner."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    if not (entry.notes.owner or entry.notes.reason):
        yield Match(entry, f'Neither a reason nor an owner of "{entry.definition.name}" is said.')


RULE = Rule(
    name="nobody-knows-why",
    severity=Severity.INFO,
    summary="A declaration that says neither why the index is there nor whose it is.",
    reason="An index that nobody dares to drop costs every write for ever.",
    remedy='Write above it: `-- why: ...`, or `-- dbopt: owner=team reason="..."`.',
    fires="CREATE INDEX a ON t (x);",
    passes="-- why: orders are found by their day\nCREATE INDEX a ON t (x);",
    check=each(_check),
)
