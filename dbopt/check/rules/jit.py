"""JIT compilation, which costs short statements more than it saves where plans are dear by
estimate only.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("jit") == "on":
        remedy = alter_system(health, "jit", "off")
        yield RULE.says(
            Severity.INFO,
            "jit",
            "It is on: it pays for reports, and seldom for short statements.",
            remedy,
            setting="on",
        )


RULE = Rule("jit", "Settings", __doc__, _find)
