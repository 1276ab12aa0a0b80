"""What an access method cannot do."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, each
from dbopt.sql.findings import Severity

_OWN = frozenset({"btree", "hash", "gist", "spgist", "gin", "brin"})
_INCLUDING = frozenset({"btree", "gist", "spgist"})
_SINGLE = frozenset({"hash", "spgist"})


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    method = definition.method
    if method not in _OWN or method == "btree":
        return
    ordered = any(key.descending or key.nulls_first for key in definition.keys)
    wrong = (
        (definition.unique, "cannot be unique"),
        (bool(definition.include) and method not in _INCLUDING, "takes no INCLUDE"),
        (len(definition.keys) > 1 and method in _SINGLE, "takes one key column"),
        (ordered, "has no order: no DESC, no NULLS FIRST"),
    )
    for is_so, words in wrong:
        if is_so:
            yield Match(entry, f"{method} {words}: PostgreSQL refuses it.")


RULE = Rule(
    name="unsupported-by-method",
    severity=Severity.CRITICAL,
    summary="UNIQUE, INCLUDE, several keys or an order that the access method has not.",
    reason='The build fails (PostgreSQL, "Basic API Structure for Indexes": amcanunique, ...).',
    remedy="Use btree, or leave that out.",
    fires="CREATE UNIQUE INDEX a ON t USING hash (x);",
    passes="CREATE INDEX a ON t USING hash (x); CREATE UNIQUE INDEX b ON t (x, y);",
    check=each(_check),
)
