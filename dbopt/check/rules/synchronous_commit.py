"""synchronous_commit off for all: a crash loses what was committed in the last moments."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("synchronous_commit") == "off":
        remedy = alter_system(health, "synchronous_commit", "on")
        yield RULE.says(
            Severity.INFO,
            "synchronous_commit",
            "It is off: a crash loses the last commits. Set it in transactions that may be lost.",
            remedy,
            setting="off",
        )


RULE = Rule("synchronous-commit", "Settings", __doc__, _find)
