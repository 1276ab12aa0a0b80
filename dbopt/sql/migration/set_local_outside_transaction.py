"""SET LOCAL outside of a transaction: it sets nothing."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Setting
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    does = subject.does
    if isinstance(does, Setting) and does.local and subject.transaction is None:
        yield Match(subject, f"{does.name} stays as it was: no transaction is open here.")


RULE = Rule(
    name="set-local-outside-transaction",
    severity=Severity.WARNING,
    group=Group.ROBUSTNESS,
    summary="SET LOCAL where no transaction is open.",
    reason=(
        "It lasts until the end of the transaction, and each statement is one of its own here: "
        "PostgreSQL warns (25P01) and goes on with the old setting, so no timeout protects what "
        "follows."
    ),
    remedy=(
        "SET it, and RESET it afterwards; or BEGIN first. In Alembic's autocommit_block there is "
        "no transaction."
    ),
    fires="SET LOCAL lock_timeout = '2s'",
    passes="SET lock_timeout = '2s'",
    check=_check,
)
