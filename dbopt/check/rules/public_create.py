"""Schemas in which everybody may create: a function there can stand in for a system's
(CVE-2018-1058).
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.schemas:
        yield RULE.says(
            Severity.WARNING,
            one.name,
            "Everybody may create objects in it.",
            f"REVOKE CREATE ON SCHEMA {identifier(one.name)} FROM PUBLIC;",
        )


RULE = Rule("public-create", "Security", __doc__, _find, needs=("schemas",))
