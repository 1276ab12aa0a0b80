"""checkpoint_completion_target below its default of 0.9: checkpoints write in bursts."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    value = health.number("checkpoint_completion_target")
    if value is not None and value < 0.9:
        yield RULE.says(
            Severity.INFO,
            "checkpoint_completion_target",
            f"It is {value:g}: checkpoints write in bursts.",
            alter_system(health, "checkpoint_completion_target", "0.9"),
            setting=value,
        )


RULE = Rule("checkpoint-target", "Settings", __doc__, _find)
