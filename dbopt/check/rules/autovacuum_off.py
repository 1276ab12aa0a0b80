"""Autovacuum off: tables bloat, statistics age, and transaction ids run out."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("autovacuum") == "off":
        remedy = alter_system(health, "autovacuum", "on")
        yield RULE.says(
            Severity.CRITICAL,
            "autovacuum",
            "It is off: tables bloat, statistics age, and transaction ids run out.",
            remedy,
            setting="off",
        )


RULE = Rule("autovacuum-off", "Settings", __doc__, _find)
