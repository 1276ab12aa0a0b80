"""A name of more than 63 bytes: PostgreSQL cuts it without an error."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator

from dbopt.sql.ddl.elements import Span
from dbopt.sql.findings import Severity
from dbopt.sql.lexer import Lexeme, tokens, unquote
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.parse import LONGEST_READ

_LONGEST = 63
_SHORTEST_LOOKED_AT = 16
"""Characters: none has more than 4 bytes."""


def _check_migration(migration: Migration) -> Iterator[Match]:
    starts = [subject.start for subject in migration.subjects]
    for token in tokens(migration.text[:LONGEST_READ]):
        if token.lexeme not in {Lexeme.WORD, Lexeme.NAME} or len(token.text) < _SHORTEST_LOOKED_AT:
            continue
        size = len(unquote(token.text).encode("utf-8", "replace"))
        if size > _LONGEST:
            subject = migration.subjects[bisect_right(starts, token.start) - 1]
            at = Span(token.start, token.start + len(token.text))
            yield Match(subject, f"A name of {size} bytes is cut to {_LONGEST}.", at)


RULE = Rule(
    name="identifier-too-long",
    severity=Severity.WARNING,
    group=Group.ROBUSTNESS,
    summary="A name has more than 63 bytes.",
    reason=(
        "PostgreSQL keeps the first 63 bytes and only prints a notice. Two long names may then "
        "be the same, and whoever compares the catalog with the code does not find it."
    ),
    remedy="Shorten the name.",
    fires=(
        "ALTER TABLE users ADD COLUMN IF NOT EXISTS "
        "a_name_of_more_than_sixty_three_bytes_that_postgresql_cuts_short_ text"
    ),
    passes="ALTER TABLE users ADD COLUMN IF NOT EXISTS short text",
    check_migration=_check_migration,
    squawk="identifier-too-long",
)
