"""A function in an index that may give another value tomorrow."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import Declarations, Entry, Match, Rule, calls, each, words
from dbopt.sql.callwords import VALUES
from dbopt.sql.findings import Severity
from dbopt.sql.functions import volatility

NEVER = frozenset(
    """array_to_string concat concat_ws format json_build_array json_build_object jsonb_build_array
    jsonb_build_object now row_to_json to_char to_date to_json to_jsonb to_number
    """.split()  # noqa: SIM905 - shorter than a list
)
"""Stable with every argument; of other stable names PostgreSQL has an immutable form too."""


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    definition = entry.definition
    expressions = [key.expression for key in definition.keys if not key.is_column]
    for text in filter(None, [*expressions, definition.predicate]):
        for name in [*calls(text), *(word for word in words(text) if word in VALUES)]:
            worst = volatility("", name, found.schema)
            if worst in {"s", "v"}:
                yield _match(entry, name, worst)


def _match(entry: Entry, name: str, worst: str) -> Match:
    if worst == "v" or name in NEVER or name in VALUES:
        words = f"{name}() is not IMMUTABLE: PostgreSQL refuses it in an index."
        return Match(entry, words, evidence={"function": name})
    return Match(
        entry,
        f"{name}() is IMMUTABLE for some types only, and PostgreSQL refuses the others.",
        "It must not depend on a time zone, a locale or a configuration: see its arguments.",
        Severity.INFO,
        {"function": name},
    )


RULE = Rule(
    name="not-immutable",
    severity=Severity.CRITICAL,
    summary="An expression or predicate with a function that is not IMMUTABLE.",
    reason="Its value may change after the row was indexed, so PostgreSQL refuses the index.",
    remedy="Compute the value into a column, or use an immutable form, as with AT TIME ZONE 'UTC'.",
    fires="CREATE INDEX a ON t (x) WHERE made > now();",
    passes="CREATE INDEX a ON t (lower(x));",
    check=each(_check),
)
