"""serial: a sequence that the column does not quite own."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.sql.findings import Severity
from dbopt.sql.migration.columns import SERIALS, typed
from dbopt.sql.migration.context import Subject
from dbopt.sql.migration.support import Group, Match, Rule


def _check(subject: Subject) -> Iterator[Match]:
    for one in typed(subject):
        if one.type.name in SERIALS:
            message = f"{one.table}.{one.name} is a serial, whose sequence needs rights of its own."
            yield Match(subject, message, one.type.at)


RULE = Rule(
    name="prefer-identity",
    severity=Severity.INFO,
    group=Group.TYPE,
    summary="A serial column is made.",
    reason=(
        "serial is a default of nextval() and a sequence with rights of its own: INSERT needs "
        "USAGE of it, LIKE and dumps carry it along in odd ways, and any INSERT may pass by it."
    ),
    remedy=(
        "Use bigint GENERATED ALWAYS AS IDENTITY (or BY DEFAULT, where an INSERT has to give the "
        "number)."
    ),
    fires="CREATE TABLE IF NOT EXISTS users (id bigserial PRIMARY KEY)",
    passes=(
        "CREATE TABLE IF NOT EXISTS users (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY)"
    ),
    check=_check,
    squawk="prefer-identity",
)
