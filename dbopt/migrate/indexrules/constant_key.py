"""A key that the predicate makes a constant."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.migrate.indexrules.support import (
    NAMES,
    Declarations,
    Entry,
    Match,
    Rule,
    conjuncts,
    each,
)
from dbopt.sql.findings import Severity
from dbopt.sql.lexer import LITERALS, unquote


def _check(entry: Entry, _found: Declarations) -> Iterator[Match]:
    fixed = set(_fixed(entry.definition.predicate))
    for key in entry.definition.keys:
        if key.is_column and key.expression in fixed and not entry.definition.unique:
            yield Match(
                entry, f'By the predicate "{key.expression}" is the same in every row of it.'
            )


def _fixed(predicate: str) -> Iterator[str]:
    """The columns that a predicate compares to one constant."""
    for part in conjuncts(predicate) if predicate else []:
        if not part or part[0].lexeme not in NAMES:
            continue
        equals = len(part) == 3 and part[1].text == "=" and part[2].lexeme in LITERALS
        if equals or [token.text.lower() for token in part[1:]] == ["is", "null"]:
            yield unquote(part[0].text)


RULE = Rule(
    name="constant-key",
    severity=Severity.INFO,
    summary="A key column that the predicate holds to one value.",
    reason="It selects nothing and sorts nothing, and still takes its place in every entry.",
    remedy="Take the column out of the keys; the predicate says it already.",
    fires="CREATE INDEX a ON t (status, x) WHERE status = 'open';",
    passes="CREATE INDEX a ON t (x) WHERE status = 'open';",
    check=each(_check),
)
