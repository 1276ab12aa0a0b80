"""Ways of the planner that are turned off for all: a remedy for one statement that harms others."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for name, one in sorted(health.settings.items()):
        changed = one.setting == "off" and one.boot_val == "on"
        if name.startswith("enable_") and changed and one.source not in ("client", "session"):
            yield RULE.says(
                Severity.WARNING,
                name,
                f"It is off for all ({one.source}).",
                alter_system(health, name, "on"),
                source=one.source,
            )


RULE = Rule("planner-switches", "Settings", __doc__, _find)
