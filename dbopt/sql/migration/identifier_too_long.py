"""A name of more than 63 bytes: PostgreSQL cuts it without an error."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Span
from dbopt.sql.findings import Severity
from dbopt.sql.lexer import Lexeme, Token, code, unquote
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule

_LONGEST = 63
_NAMES = frozenset({Lexeme.WORD, Lexeme.NAME})
_SHORTEST_LOOKED_AT = 16
"""Characters: none has more than 4 bytes."""


def _check_migration(migration: Migration) -> Iterator[Match]:
    for subject in migration.subjects:
        if len(subject.sql) < _SHORTEST_LOOKED_AT:
            continue
        for token in code(subject.sql):
            if token.lexeme in _NAMES and len(token.text) >= _SHORTEST_LOOKED_AT:
                yield from _match(subject, token)


def _match(subject: Subject, token: Token) -> Iterator[Match]:
    size = len(unquote(token.text).encode("utf-8", "replace"))
    if size > _LONGEST:
        start = subject.start + token.start
        at = Span(start, start + len(token.text))
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
