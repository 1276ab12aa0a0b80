"""A name that two indexes are given."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule
from dbopt.sql.findings import Severity


def _check(found: Declarations) -> Iterator[Match]:
    first: dict[str, list[Entry]] = {}
    for entry in found.entries:
        same = first.setdefault(entry.definition.name, [])
        other = next((one for one in same if _is_same(one, entry)), None)
        if other is not None:
            yield Match(
                entry, f'The index "{entry.definition.name}" is declared at {other.where} already.'
            )
        same.append(entry)


def _is_same(one: Entry, other: Entry) -> bool:
    """As far as files tell: without its schema a table may be the one of that name with it."""
    if one.table[0] != other.table[0] and "" in {one.table[0], other.table[0]}:
        return one.table[1] == other.table[1]
    return one.table[0] == other.table[0]


RULE = Rule(
    name="repeated-name",
    severity=Severity.CRITICAL,
    summary="Two declared indexes of one name.",
    reason="An index has its schema's only index of that name: nothing can be planned.",
    remedy="Give each index a name of its own.",
    fires="CREATE INDEX a ON t (x); CREATE INDEX a ON u (y);",
    passes="CREATE INDEX a ON t (x); CREATE INDEX a ON other.u (y); CREATE INDEX b ON t (y);",
    check=_check,
)
