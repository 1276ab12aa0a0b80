"""A condition that says nothing of the row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from dbopt.sql.lexer import Lexeme, Token, unquote

_CONSTANT_WORDS = frozenset({"true", "false", "null", "not", "is", "in", "and", "or"})


def _check(entry: Entry, found: Declarations) -> Iterator[Match]:
    predicate = entry.definition.predicate
    for part in conjuncts(predicate) if predicate else []:
        if _says_nothing(part):
            yield Match(entry, "A part of the predicate is the same for every row.")
        elif name := _never_null(entry, part, found):
            yield Match(
                entry, f'"{name}" is NOT NULL, so that part of the predicate is always true.'
            )


def _says_nothing(part: Sequence[Token]) -> bool:
    return all(
        token.lexeme not in NAMES
        or (token.lexeme is Lexeme.WORD and token.text.lower() in _CONSTANT_WORDS)
        for token in part
    )


def _never_null(entry: Entry, part: Sequence[Token], found: Declarations) -> str:
    if [token.text.lower() for token in part[1:]] != ["is", "not", "null"]:
        return ""
    column = found.column(entry, unquote(part[0].text))
    return column.name if column is not None and column.not_null else ""


RULE = Rule(
    name="constant-predicate",
    severity=Severity.WARNING,
    summary="A predicate, or a part of one, that is always true or never.",
    reason=(
        "The index holds every row, or none; and the planner uses a partial index only where the "
        "query implies its predicate."
    ),
    remedy="Take that part out.",
    fires="CREATE INDEX a ON t (x) WHERE y = 5 AND 1 = 1;",
    passes="CREATE INDEX a ON t (x) WHERE y = 5 AND NOT done;",
    check=each(_check),
)
