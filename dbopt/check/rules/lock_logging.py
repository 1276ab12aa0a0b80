"""log_lock_waits off: who waited for whom is not in the log."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("log_lock_waits") == "off":
        remedy = alter_system(health, "log_lock_waits", "on")
        yield RULE.says(
            Severity.INFO,
            "log_lock_waits",
            "It is off: who waited for whom is not in the log.",
            remedy,
            setting="off",
        )


RULE = Rule("lock-logging", "Settings", __doc__, _find)
