"""default_statistics_target far from the default: plans by coarse statistics, or dear planning."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    value = int(health.number("default_statistics_target") or 100)
    if not 100 <= value <= 1000:
        yield RULE.says(
            Severity.INFO,
            "default_statistics_target",
            f"It is {value}: "
            + ("statistics are coarse." if value < 100 else "ANALYZE and planning are dear."),
            alter_system(health, "default_statistics_target", "100")
            + " and for the columns that need more: ALTER TABLE … ALTER COLUMN … SET STATISTICS …;",
            setting=value,
        )


RULE = Rule("statistics-target", "Settings", __doc__, _find)
