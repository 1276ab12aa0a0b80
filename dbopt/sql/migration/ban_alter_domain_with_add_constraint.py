"""ALTER DOMAIN ... ADD CONSTRAINT reads every table that uses it."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.model import AlterDomain
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    domain = subject.does
    if not isinstance(domain, AlterDomain) or subject.is_new(domain.name, "domain"):
        return
    at = domain.constraint.at if domain.constraint is not None else None
    if domain.reads_tables:
        message = f"Writes to every table with a column of {domain.name} wait while it is read."
        yield Match(subject, message, at)
    elif at is not None:
        message = f"To validate it later keeps the writes of every table with a {domain.name}."
        yield Match(subject, message, at, severity=Severity.WARNING)


RULE = Rule(
    name="ban-alter-domain-with-add-constraint",
    severity=Severity.CRITICAL,
    group=Group.LOCKING,
    summary="A constraint is added to a domain that is in use.",
    reason=(
        "Every table with a column of the domain is read under a SHARE lock: writes to all of "
        "them wait. NOT VALID puts that off, and VALIDATE CONSTRAINT takes these locks. So does "
        "SET NOT NULL."
    ),
    remedy="Add a CHECK ... NOT VALID to each table instead, and validate them one by one.",
    fires="ALTER DOMAIN email ADD CONSTRAINT at CHECK (VALUE LIKE '%@%')",
    passes="ALTER DOMAIN email SET DEFAULT ''",
    check=_check,
    squawk="ban-alter-domain-with-add-constraint",
)
