"""A new value of an enum is used before its transaction has committed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise

from dbopt.sql.ddl.model import AddEnumValue, Block, Create
from dbopt.sql.findings import Severity
from dbopt.sql.lexer import code
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule

_MOST_VALUES = 100
"""Values of one transaction that are looked for."""


def _check_migration(migration: Migration) -> Iterator[Match]:
    values: dict[str, str] = {}
    current: int | None = None
    for subject in migration.subjects:
        if subject.transaction is None or subject.transaction != current:
            values, current = {}, subject.transaction
        if current is None:
            continue
        does = subject.does
        if isinstance(does, AddEnumValue):
            if not subject.is_new(does.type, "type") and len(values) < _MOST_VALUES:
                values[does.value] = str(does.type)
            continue
        used = _used(subject, values)
        if used is not None:
            message = (
                f"Where this means the new value of {values[used]}, it fails before the COMMIT."
            )
            yield Match(subject, message)


_DEFINES = frozenset({"function", "procedure"})


def _used(subject: Subject, values: Iterable[str]) -> str | None:
    """The first constant that its code holds; what a function or a comment holds is not run, and
    the statements of a block are asked themselves."""
    does = subject.does
    if isinstance(does, Block) and does.examined:
        return None
    written = [value for value in values if value in subject.sql]
    if not written or isinstance(does, Block):
        return next(iter(written), None)
    found = [token.text for token in code(subject.sql)]
    words = [text.lower() for text in found]
    if isinstance(does, Create) and does.kind in _DEFINES:
        # The body of one in SQL is parsed when it is made; in any other language it is not.
        return written[0] if ("language", "sql") in pairwise(words) else None
    return next((one for one in written if one in found and words[0] != "comment"), None)


RULE = Rule(
    name="enum-value-used-too-early",
    severity=Severity.CRITICAL,
    group=Group.ROBUSTNESS,
    summary="A new enum value is used in the transaction that adds it.",
    reason=(
        "PostgreSQL refuses it (55P04): until the commit, an index could hold a value that a "
        "rollback takes away."
    ),
    remedy="COMMIT after ALTER TYPE ... ADD VALUE, and use the value in the next transaction.",
    fires=(
        "BEGIN;\n"
        "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'so-so' AFTER 'sad';\n"
        "ALTER TABLE users ALTER COLUMN mood SET DEFAULT 'so-so';\n"
        "COMMIT"
    ),
    passes=(
        "BEGIN;\n"
        "ALTER TYPE mood ADD VALUE IF NOT EXISTS 'so-so' AFTER 'sad';\n"
        "COMMIT;\n"
        "ALTER TABLE users ALTER COLUMN mood SET DEFAULT 'so-so'"
    ),
    check_migration=_check_migration,
)
