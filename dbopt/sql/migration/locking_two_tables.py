"""Two tables locked in one transaction: who locks them in the other order deadlocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dbopt.sql.ddl.elements import Name
from dbopt.sql.ddl.model import Alter, Drop, Rename
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.locks import Mode, blocking, locks
from dbopt.sql.migration.support import Group, Match, Rule


def _check_migration(migration: Migration) -> Iterator[Match]:
    """One finding a transaction, at the first statement that locks a second table."""
    current: int | None = None
    held: dict[tuple[str, str], Name] = {}
    told = False
    for subject in migration.telling:
        if subject.transaction is None or subject.transaction != current:
            current, held, told = subject.transaction, {}, False
        if current is None or told:
            continue
        fresh = {name.key: name for name in _tables(subject) if name.key not in held}
        if held and fresh:
            first, second = next(iter(held.values())), next(iter(fresh.values()))
            message = f"{first} stays locked while the lock on {second} is waited for."
            yield Match(subject, message)
            told = True
        held |= fresh | _renamed(subject)


def _tables(subject: Subject) -> list[Name]:
    """The tables that it locks against writes; an index does not tell its table."""
    does = subject.does
    if isinstance(does, Alter | Drop) and does.kind == "index":
        return []
    if blocking(subject) is None:
        return []
    return [lock.relation for lock in locks(subject) if lock.mode >= Mode.SHARE_ROW_EXCLUSIVE]


def _renamed(subject: Subject) -> dict[tuple[str, str], Name]:
    """The new name of a table that is locked by its old one."""
    does = subject.does
    if not isinstance(does, Alter):
        return {}
    renames = (one for one in does.actions if isinstance(one, Rename) and not one.what)
    names = [replace(does.target, name=one.new) for one in renames]
    return {name.key: name for name in names}


RULE = Rule(
    name="locking-two-tables",
    severity=Severity.WARNING,
    group=Group.LOCKING,
    summary="One transaction locks several tables that are in use.",
    reason=(
        "The first table stays locked while the second lock is waited for, so all of its users "
        "wait as well; and a transaction of the application that uses both in the other order "
        "ends in a deadlock (40P01)."
    ),
    remedy=(
        "One table a transaction: COMMIT between them. If both have to change at once, lock them "
        "in the order in which the application does, with a short lock_timeout, and retry."
    ),
    fires=(
        "BEGIN;\n"
        "ALTER TABLE users ADD COLUMN a text;\n"
        "ALTER TABLE orders ADD COLUMN a text;\n"
        "COMMIT"
    ),
    passes=(
        "BEGIN;\n"
        "ALTER TABLE users ADD COLUMN a text;\n"
        "COMMIT;\n"
        "BEGIN;\n"
        "ALTER TABLE orders ADD COLUMN a text;\n"
        "COMMIT"
    ),
    check_migration=_check_migration,
)
