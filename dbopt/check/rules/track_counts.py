"""track_counts off: autovacuum does not know when to come."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("track_counts") == "off":
        remedy = alter_system(health, "track_counts", "on")
        yield RULE.says(
            Severity.CRITICAL,
            "track_counts",
            "It is off: autovacuum does not know when to come.",
            remedy,
            setting="off",
        )


RULE = Rule("track-counts", "Settings", __doc__, _find)
