"""fsync off: a crash of the machine may destroy the database."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("fsync") == "off":
        remedy = alter_system(health, "fsync", "on")
        yield RULE.says(
            Severity.CRITICAL,
            "fsync",
            "It is off: a crash of the machine may destroy the database.",
            remedy,
            setting="off",
        )


RULE = Rule("fsync", "Settings", __doc__, _find)
