"""Databases whose DROP DATABASE was cut off: nobody can connect to them."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

INVALID = -2
"""pg_database.datconnlimit of such a one."""


def _find(health: Health, limits: Check) -> Found:
    for one in health.databases:
        if one.connection_limit == INVALID:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                "A DROP DATABASE of it was cut off.",
                f"DROP DATABASE {identifier(one.name)};",
            )


RULE = Rule("invalid-database", "Integrity", __doc__, _find, needs=("databases",))
