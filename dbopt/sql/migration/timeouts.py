"""Whether a timeout is set before the first statement that others may wait for."""

from __future__ import annotations

from dbopt.sql.ddl.model import Setting
from dbopt.sql.migration.context import Migration, Subject
from dbopt.sql.migration.locks import Lock, Mode, strongest


def first_unbounded(migration: Migration, setting: str) -> tuple[Subject, Lock] | None:
    """The first statement that takes a SHARE lock or a stronger one without this timeout set."""
    bounded = False
    for subject in migration.telling:
        does = subject.does
        if isinstance(does, Setting) and does.name == setting:
            # SET LOCAL outside of a transaction sets nothing.
            holds = not does.local or subject.transaction is not None
            bounded = holds and does.value not in {None, "0"}
        lock = None if bounded else strongest(subject)
        if lock is not None and lock.mode >= Mode.SHARE:
            return subject, lock
    return None
