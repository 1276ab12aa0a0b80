"""Extensions whose files are newer than their objects: new columns and fixes are not there."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.extensions:
        yield RULE.says(
            Severity.INFO,
            one.name,
            f"It is at {one.installed}, and {one.available} is installed.",
            f"ALTER EXTENSION {identifier(one.name)} UPDATE;",
            installed=one.installed,
            available=one.available,
        )


RULE = Rule("extension-version", "Software", __doc__, _find, needs=("extensions",))
