"""Slow statements are not in the server's log."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

NAMES = (
    "log_min_duration_statement",
    "log_min_duration_sample",
    "auto_explain.log_min_duration",
)


def _find(health: Health, limits: Check) -> Found:
    names = (
        "log_min_duration_statement",
        "log_min_duration_sample",
        "auto_explain.log_min_duration",
    )
    values = [p.setting for p in map(health.settings.get, names) if p]
    if values and set(values) == {"-1"}:
        yield RULE.says(
            Severity.INFO,
            "log_min_duration_statement",
            "It is -1: slow statements are not in the server's log.",
            alter_system(health, "log_min_duration_statement", "'1s'"),
            setting="-1",
        )


RULE = Rule("slow-logging", "Settings", __doc__, _find)
