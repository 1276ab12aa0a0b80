"""Parameters that make the server go on over damaged data: for rescue only, as they destroy it."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

NAMES = (
    "zero_damaged_pages",
    "ignore_checksum_failure",
    "ignore_invalid_pages",
    "ignore_system_indexes",
)


def _find(health: Health, limits: Check) -> Found:
    for name in NAMES:
        if health.text(name) == "on":
            yield RULE.says(
                Severity.CRITICAL,
                name,
                "It is on: damage is passed over, or made final, without an error.",
                alter_system(health, name, "off"),
                setting="on",
            )


RULE = Rule("hidden-damage", "Settings", __doc__, _find)
