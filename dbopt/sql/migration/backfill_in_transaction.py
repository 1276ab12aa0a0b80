"""Rows are written while a table stays locked by DDL."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Write
from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import BOOKKEEPING
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.locks import Lock, blocking
from dbopt.sql.migration.support import Group, Match, Rule


def _check_migration(migration: Migration) -> Iterator[Match]:
    held: Lock | None = None
    current: int | None = None
    for subject in migration.telling:
        if subject.transaction is None or subject.transaction != current:
            held, current = None, subject.transaction
        if current is None:
            continue
        does = subject.does
        if isinstance(does, Write) and held is not None and _is_backfill(subject, does):
            message = (
                f"{held.mode} on {held.relation} is held while rows of {does.table} are written: "
                f"{held.mode.blocks} wait."
            )
            yield Match(subject, message, severity=Severity.INFO if does.filtered else None)
        held = held or blocking(subject)


def _is_backfill(subject: Subject, write: Write) -> bool:
    if write.table.name in BOOKKEEPING or subject.is_new(write.table):
        return False
    return write.command in {"update", "delete"} or write.query


RULE = Rule(
    name="backfill-in-transaction",
    severity=Severity.WARNING,
    group=Group.LOCKING,
    summary="Rows are written in a transaction that holds a strong lock.",
    reason=(
        "The lock of DDL is held until the transaction ends. While rows are written, all users "
        "of the locked table wait: a change of a millisecond lasts as long as the backfill."
    ),
    remedy=("COMMIT after the DDL, and write the rows in batches, in transactions of their own."),
    fires=(
        "BEGIN;\nALTER TABLE users ADD COLUMN country text;\nUPDATE users SET country = '';\nCOMMIT"
    ),
    passes=(
        "BEGIN;\n"
        "ALTER TABLE users ADD COLUMN country text;\n"
        "COMMIT;\n"
        "UPDATE users SET country = '' WHERE id BETWEEN 1 AND 1000"
    ),
    check_migration=_check_migration,
)
