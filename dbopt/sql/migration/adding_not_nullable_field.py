"""SET NOT NULL without a validated check: everybody waits while all rows are read."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import Constraint, ConstraintKind
from dbopt.sql.ddl.model import AddConstraint, AlterColumn, Change, ValidateConstraint
from dbopt.sql.findings import Severity
from dbopt.sql.lexer import unquote
from dbopt.sql.migration import rewrites
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.support import Group, Match, Rule, altered

_Key = tuple[str, str]


def _check_migration(migration: Migration) -> Iterator[Match]:
    checked: dict[tuple[_Key, str], Constraint] = {}
    proven: set[tuple[_Key, str]] = set()
    for subject in migration.telling:
        for table, added in altered(subject, AddConstraint):
            one = added.constraint
            checked[table.target.key, one.name] = one
            if one.enforced and not one.not_valid:
                proven.update((table.target.key, column) for column in _not_null(one))
        for table, validated in altered(subject, ValidateConstraint):
            # What an earlier migration has added is taken for the check that is needed.
            known = checked.get((table.target.key, validated.name))
            columns = _not_null(known) if known is not None else ("",)
            proven.update((table.target.key, column) for column in columns)
        yield from _set_not_null(subject, proven if migration.version >= 12 else set())


def _set_not_null(subject: Subject, proven: set[tuple[_Key, str]]) -> Iterator[Match]:
    for table, action in altered(subject, AlterColumn):
        key = table.target.key
        if action.change is not Change.SET_NOT_NULL:
            continue
        if (key, action.column) not in proven and (key, "") not in proven:
            message = f"Reads and writes of {table.target} wait while every row is looked at."
            instead = rewrites.not_null_by_check(subject, table.target, action)
            yield Match(subject, message, action.at, instead=instead)


def _not_null(one: Constraint) -> tuple[str, ...]:
    """The columns that it says are not null: a check alone or with AND, or NOT NULL itself."""
    if one.kind is ConstraintKind.NOT_NULL:
        return one.columns
    if one.kind is not ConstraintKind.CHECK or one.expression is None:
        return ()
    tokens, words = one.expression.tokens, one.expression.words
    if "or" in words or "case" in words:
        return ()
    ends = [at for at in range(1, len(words)) if words[at : at + 3] == ("is", "not", "null")]
    return tuple(unquote(tokens[at - 1].text) for at in ends)


RULE = Rule(
    name="adding-not-nullable-field",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A column is made NOT NULL without a check that was validated before.",
    reason=(
        "SET NOT NULL reads the whole table under an ACCESS EXCLUSIVE lock: all reads and writes "
        "wait. From PostgreSQL 12 on it believes a validated CHECK (column IS NOT NULL), and "
        "reads nothing."
    ),
    remedy=(
        "ADD CONSTRAINT c CHECK (column IS NOT NULL) NOT VALID; in another transaction VALIDATE "
        "CONSTRAINT c; then SET NOT NULL, and DROP CONSTRAINT c. From PostgreSQL 18 on: ADD "
        "CONSTRAINT c NOT NULL column NOT VALID, and VALIDATE CONSTRAINT c."
    ),
    fires="ALTER TABLE users ALTER COLUMN email SET NOT NULL",
    passes=(
        "ALTER TABLE users ADD CONSTRAINT email_there CHECK (email IS NOT NULL) NOT VALID;\n"
        "ALTER TABLE users VALIDATE CONSTRAINT email_there;\n"
        "ALTER TABLE users ALTER COLUMN email SET NOT NULL"
    ),
    check_migration=_check_migration,
    squawk="adding-not-nullable-field",
)
