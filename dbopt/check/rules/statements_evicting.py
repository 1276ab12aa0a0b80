"""pg_stat_statements throws statements out for want of room: reports miss some."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import DAY, alter_system, duration
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.statements:
        days = max(1.0, (one.counted_seconds or 0) / DAY)
        if one.evictions > days * limits.evictions_per_day:
            now = int(health.number("pg_stat_statements.max") or 5000)
            yield RULE.says(
                Severity.WARNING,
                "pg_stat_statements",
                f"It threw statements out {one.evictions:,} times in {duration(days * DAY)}.",
                alter_system(health, "pg_stat_statements.max", str(now * 2), restart=True),
                evictions=one.evictions,
                days=round(days, 2),
                max=now,
            )


RULE = Rule(
    "statements-evicting",
    "Software",
    __doc__,
    _find,
    needs=("statements",),
    settings=("evictions_per_day",),
)
