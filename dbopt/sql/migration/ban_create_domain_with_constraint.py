"""A domain with a constraint: to change it reads every table that uses it."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.ddl.elements import ConstraintKind
from dbopt.sql.ddl.model import CreateDomain
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    domain = subject.does
    if isinstance(domain, CreateDomain):
        for one in domain.constraints:
            if one.kind in {ConstraintKind.CHECK, ConstraintKind.NOT_NULL}:
                message = f"The constraint of {domain.name} is hard to change once tables use it."
                yield Match(subject, message, one.at)
                return


RULE = Rule(
    name="ban-create-domain-with-constraint",
    severity=Severity.WARNING,
    group=Group.LOCKING,
    summary="A domain with a constraint is created.",
    reason=(
        "A domain's constraint can only be changed for all columns of all tables at once: "
        "validation takes a SHARE lock on each of them while it reads them."
    ),
    remedy=(
        "Use a plain type, and a CHECK on each table, which can be NOT VALID and validated one "
        "by one."
    ),
    fires="CREATE DOMAIN email AS text CHECK (VALUE LIKE '%@%')",
    passes="CREATE DOMAIN email AS text",
    check=_check,
    squawk="ban-create-domain-with-constraint",
)
