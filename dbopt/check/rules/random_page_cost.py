"""random_page_cost of a turning disk, where blocks are read faster than one can: indexes are
passed over.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Severity

_UNTIMED = Unseen(
    "How long reads take is not measured, so the disk is not known.",
    "ALTER SYSTEM SET track_io_timing = on; SELECT pg_reload_conf();",
)


def _find(health: Health, limits: Check) -> Found:
    cost = health.number("random_page_cost") or 0.0
    if cost < 4:
        return
    if health.off("track_io_timing"):
        yield RULE.blind("random_page_cost", _UNTIMED)
        return
    for one in health.databases:
        if one.blocks_read < 10_000 or one.read_ms <= 0:
            continue
        each = one.read_ms / one.blocks_read
        if each < limits.random_read:
            yield RULE.says(
                Severity.INFO,
                one.name,
                f"It is {cost:g}, and a block is read in {each:.3f} ms.",
                alter_system(health, "random_page_cost", "1.1"),
                read_ms=round(each, 4),
                random_page_cost=cost,
            )


RULE = Rule(
    "random-page-cost", "Settings", __doc__, _find, needs=("databases",), settings=("random_read",)
)
