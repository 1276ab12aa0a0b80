"""The safe way as SQL: the statements to write in place of one that a rule warns of.

Each is a proposal. Where it takes several transactions, a comment says so.
"""

from __future__ import annotations

from dbopt.sql.ddl.elements import Constraint, ConstraintKind, Name, Span
from dbopt.sql.ddl.model import Alter, AlterColumn, CreateIndex, DetachPartition, Drop
from dbopt.sql.indexdef import quote_name
from dbopt.sql.lexer import Lexeme, code
from dbopt.sql.migration.context import Subject

_APART = "-- in a transaction of its own:\n"
_MAX_NAME = 63
_SUFFIXES = {
    ConstraintKind.FOREIGN_KEY: "fkey",
    ConstraintKind.CHECK: "check",
    ConstraintKind.UNIQUE: "key",
    ConstraintKind.NOT_NULL: "not_null",
}


def written(subject: Subject, at: Span) -> str:
    """A part of the statement as it is written."""
    return subject.sql[at.start - subject.start : at.end - subject.start]


def concurrently(subject: Subject, word: str) -> str:
    """The statement with CONCURRENTLY behind the first of these words."""
    for token in code(subject.sql):
        if token.lexeme is Lexeme.WORD and token.text.lower() == word:
            end = token.start + len(token.text)
            return f"{subject.sql[:end]} CONCURRENTLY{subject.sql[end:]}"
    return ""


def create_index(subject: Subject, index: CreateIndex) -> str:
    """CREATE INDEX CONCURRENTLY, without IF NOT EXISTS: what a failed build left is dropped."""
    built = concurrently(subject, "index")
    if index.name is None or not index.if_not_exists:
        return built
    dropped = f"DROP INDEX CONCURRENTLY IF EXISTS {written(subject, index.name.at)};"
    unique = "UNIQUE " if index.unique else ""
    rest = subject.sql[index.name.at.start - subject.start :]
    return f"{dropped}\nCREATE {unique}INDEX CONCURRENTLY {rest}"


def drop_indexes(subject: Subject, drop: Drop) -> str:
    """DROP INDEX CONCURRENTLY, which takes one index a statement and knows no CASCADE."""
    if drop.cascade:
        return ""
    names = (written(subject, name.at) for name in drop.names)
    return ";\n".join(f"DROP INDEX CONCURRENTLY IF EXISTS {name}" for name in names)


def detach(subject: Subject, table: Alter, action: DetachPartition) -> str:
    """DETACH PARTITION ... CONCURRENTLY."""
    head = written(subject, Span(subject.start, table.target.at.end))
    partition = written(subject, action.partition.at)
    return f"{head} DETACH PARTITION {partition} CONCURRENTLY"


def validate_later(subject: Subject, table: Name, one: Constraint) -> str:
    """ADD CONSTRAINT ... NOT VALID and, in another transaction, VALIDATE CONSTRAINT."""
    target = written(subject, table.at)
    name = quote_name(one.name or _name(table, one))
    body = written(subject, one.at)
    named = body if one.name else f"CONSTRAINT {name} {body}"
    return (
        f"ALTER TABLE {target} ADD {named} NOT VALID;\n"
        f"{_APART}ALTER TABLE {target} VALIDATE CONSTRAINT {name}"
    )


def unique_by_index(subject: Subject, table: Name, one: Constraint) -> str:
    """CREATE UNIQUE INDEX CONCURRENTLY, and the constraint made of it."""
    if not one.columns or one.deferrable or "INCLUDE" in written(subject, one.at).upper():
        return ""
    target = written(subject, table.at)
    name = quote_name(one.name or _name(table, one))
    columns = ", ".join(map(quote_name, one.columns))
    return (
        f"CREATE UNIQUE INDEX CONCURRENTLY {name} ON {target} ({columns});\n"
        f"ALTER TABLE {target} ADD CONSTRAINT {name} UNIQUE USING INDEX {name}"
    )


def not_null_by_check(subject: Subject, table: Name, action: AlterColumn) -> str:
    """SET NOT NULL behind a check that was validated; from PostgreSQL 18 on NOT NULL itself."""
    target = written(subject, table.at)
    column = quote_name(action.column)
    name = quote_name(_cut(f"{table.name}_{action.column}", "not_null"))
    modern = subject.version >= 18
    rule = f"NOT NULL {column}" if modern else f"CHECK ({column} IS NOT NULL)"
    first = (
        f"ALTER TABLE {target} ADD CONSTRAINT {name} {rule} NOT VALID;\n"
        f"{_APART}ALTER TABLE {target} VALIDATE CONSTRAINT {name}"
    )
    if modern:
        return first
    return (
        f"{first};\n{_APART}ALTER TABLE {target} ALTER COLUMN {column} SET NOT NULL, "
        f"DROP CONSTRAINT {name}"
    )


def _name(table: Name, one: Constraint) -> str:
    return _cut("_".join((table.name, *one.columns)), _SUFFIXES.get(one.kind, "constraint"))


def _cut(stem: str, suffix: str) -> str:
    """As PostgreSQL names them: the suffix stays whole."""
    kept = stem.encode()[: _MAX_NAME - len(suffix) - 1].decode("utf-8", "ignore")
    return f"{kept}_{suffix}"
