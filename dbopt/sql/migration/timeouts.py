"""Whether a timeout is set where a statement runs that others may wait for."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import LockTable, Node, Setting, Transaction
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.locks import Lock, blocking

LOCK_TIMEOUT = "lock_timeout"
_UNITS = " usmindh"


def first_unbounded(migration: Migration, setting: str) -> tuple[Subject, Lock] | None:
    """The first statement that others wait behind and that runs without this timeout."""
    for subject, bounded in bounds(migration, setting):
        if setting == LOCK_TIMEOUT and _never_waits(subject.does):
            continue
        lock = None if bounded else blocking(subject)
        if lock is not None:
            return subject, lock
    return None


def bounds(migration: Migration, setting: str) -> Iterator[tuple[Subject, bool]]:
    """Each statement that tells something, and whether the text has set this timeout for it.

    SET LOCAL holds until its transaction ends, and outside of one it sets nothing; SET in a
    transaction that is rolled back is taken back. RESET ALL and DISCARD ALL reset it too.
    """
    session = before = False
    local: bool | None = None
    current: int | None = None
    for subject in migration.telling:
        if subject.transaction is None or subject.transaction != current:
            current, before, local = subject.transaction, session, None
        yield subject, session if local is None else local
        does = subject.does
        if isinstance(does, Setting) and does.name in {setting, "all"}:
            if not does.local:
                session, local = _limits(does.value), None
            elif current is not None:
                local = _limits(does.value)
        elif isinstance(does, Transaction) and does.command == "rollback":
            session = before


def _never_waits(node: Node) -> bool:
    return isinstance(node, LockTable) and node.nowait


def _limits(value: str | None) -> bool:
    """Whether a value is a limit: 0 of any unit is none."""
    return value is not None and value.lower().rstrip(_UNITS).strip(" 0.") != ""
