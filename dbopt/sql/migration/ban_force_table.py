"""DROP TABLE and CREATE TABLE of the same name: the data is gone."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import CreateTable, Drop
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule


def _check_migration(migration: Migration) -> Iterator[Match]:
    dropped: set[tuple[str, str]] = set()
    for subject in migration.telling:
        does = subject.does
        if isinstance(does, Drop) and does.kind == "table":
            dropped.update(name.key for name in does.names if not subject.is_new(name))
        elif isinstance(does, CreateTable) and does.table.key in dropped:
            yield Match(subject, f"{does.table} is made anew, and the rows that it had are gone.")


RULE = Rule(
    name="ban-force-table",
    severity=Severity.CRITICAL,
    group=Group.DATA,
    summary="A table is dropped and made anew.",
    reason=(
        "Where the table is there, all of its rows go, with its indexes, rights, triggers and "
        "the foreign keys that point at it; and the migration succeeds without a word."
    ),
    remedy=(
        "CREATE TABLE IF NOT EXISTS, and ALTER TABLE for what is to change; to empty a table, "
        "TRUNCATE it and say so with a marker."
    ),
    fires="DROP TABLE IF EXISTS users;\nCREATE TABLE users (id bigint)",
    passes="CREATE TABLE IF NOT EXISTS users (id bigint)",
    check_migration=_check_migration,
)
