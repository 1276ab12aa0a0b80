"""LOCK TABLE: others wait until the transaction ends."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import LockTable
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.locks import Mode, strongest
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    if not isinstance(subject.does, LockTable):
        return
    lock = strongest(subject)
    if lock is not None and lock.mode >= Mode.SHARE:
        message = f"{lock.mode} on {lock.relation}: {lock.mode.blocks} wait until COMMIT."
        yield Match(subject, message)


RULE = Rule(
    name="ban-lock-table",
    severity=Severity.WARNING,
    group=Group.LOCKING,
    summary="A table is locked by hand.",
    reason=(
        "A SHARE lock and the stronger ones keep all writes waiting until COMMIT, ACCESS "
        "EXCLUSIVE (the default) reads too; and while LOCK itself waits, all who come later wait "
        "behind it."
    ),
    remedy=(
        "Let each statement take the lock that it needs. If it has to be: SET LOCAL lock_timeout "
        "first, the weakest mode that does, and a short transaction."
    ),
    fires="BEGIN;\nLOCK TABLE users;\nCOMMIT",
    passes="BEGIN;\nLOCK TABLE users IN ROW SHARE MODE;\nCOMMIT",
    check=_check,
)
