"""Deadlocks: transactions that take the same locks in another order, of which one fails."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import DAY, counted, duration, several, too_young
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    yield from too_young(RULE, health, limits)
    for one in counted(health, limits):
        days = (one.counted_seconds or 0) / DAY
        if one.deadlocks > max(1.0, days) * limits.deadlocks_per_day:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                f"{several(one.deadlocks, 'deadlock')} in {duration(days * DAY)}.",
                "Let transactions lock rows in one order; the server's log names the statements.",
                deadlocks=one.deadlocks,
                days=round(days, 2),
            )


RULE = Rule(
    "deadlocks",
    "Sessions",
    __doc__,
    _find,
    needs=("databases",),
    settings=("deadlocks_per_day", "counter_window"),
)
