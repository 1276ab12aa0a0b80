"""track_io_timing off: how long reads and writes take is not known."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("track_io_timing") == "off":
        remedy = alter_system(health, "track_io_timing", "on")
        yield RULE.says(
            Severity.INFO,
            "track_io_timing",
            "It is off: how long reads take is not known (pg_test_timing says what it costs).",
            remedy,
            setting="off",
        )


RULE = Rule("track-io-timing", "Settings", __doc__, _find)
