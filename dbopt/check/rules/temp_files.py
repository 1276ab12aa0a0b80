"""Sorts and hashes that do not fit into work_mem and go to temporary files."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, alter_system, counted, size, too_young
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    yield from too_young(RULE, health, limits)
    for one in counted(health, limits):
        hours = (one.counted_seconds or 0) / 3600
        rate = one.temp_bytes / max(1.0, hours)
        if rate > limits.temp_per_hour * MB:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                f"{size(rate)} of temporary files an hour.",
                alter_system(health, "log_temp_files", "'10MB'") + " tells which statements",
                bytes=one.temp_bytes,
                files=one.temp_files,
                hours=round(hours, 1),
                work_mem=health.number("work_mem"),
            )


RULE = Rule(
    "temp-files",
    "Capacity",
    __doc__,
    _find,
    needs=("databases",),
    settings=("temp_per_hour", "counter_window"),
)
