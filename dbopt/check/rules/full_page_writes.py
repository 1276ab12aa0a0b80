"""full_page_writes off: a crash in the midst of a write leaves torn pages."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("full_page_writes") == "off":
        remedy = alter_system(health, "full_page_writes", "on")
        yield RULE.says(
            Severity.CRITICAL,
            "full_page_writes",
            "It is off: a crash in the midst of a write leaves torn pages.",
            remedy,
            setting="off",
        )


RULE = Rule("full-page-writes", "Settings", __doc__, _find)
