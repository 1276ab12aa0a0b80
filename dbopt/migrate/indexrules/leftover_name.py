"""A name that says: a leftover."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity

_leftover = re.compile(r"_(?:dbopt_new|dbopt_old|cc(?:new|old)[0-9]*)$").search


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    name = entry.definition.name
    if _leftover(name) is not None:
        yield Match(entry, f'The name "{name}" is one that leftovers of broken builds have.')


RULE = Rule(
    name="leftover-name",
    severity=Severity.CRITICAL,
    summary="A name that ends as those of half-built indexes do.",
    reason=(
        "REINDEX CONCURRENTLY leaves _ccnew and _ccold behind, and dbopt _dbopt_new and "
        "_dbopt_old: such an index is dropped when it is found."
    ),
    remedy="Give it another name.",
    fires="CREATE INDEX t_x_ccnew ON t (x);",
    passes="CREATE INDEX t_x_new ON t (x);",
    check=each(_check),
)
