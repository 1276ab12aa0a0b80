"""DROP DATABASE in a migration."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import Drop
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    drop = subject.does
    if isinstance(drop, Drop) and drop.kind == "database":
        yield Match(subject, f"The database {drop.names[0]} and all that it holds is gone.")


RULE = Rule(
    name="ban-drop-database",
    severity=Severity.CRITICAL,
    group=Group.DATA,
    summary="A database is dropped.",
    reason="All that it holds is gone, and no transaction could bring it back.",
    remedy="A migration never needs it. Drop databases by hand.",
    fires="DROP DATABASE IF EXISTS shop",
    passes="DROP SCHEMA IF EXISTS scratch",
    check=_check,
    squawk="ban-drop-database",
)
