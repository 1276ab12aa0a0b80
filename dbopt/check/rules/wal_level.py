"""wal_level minimal: no standby, no archive, and no backup while the server runs."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("wal_level") == "minimal":
        remedy = alter_system(health, "wal_level", "replica", restart=True)
        yield RULE.says(
            Severity.INFO,
            "wal_level",
            "It is minimal: no standby, no archive, and no backup while the server runs.",
            remedy,
            setting="minimal",
        )


RULE = Rule("wal-level", "Settings", __doc__, _find)
