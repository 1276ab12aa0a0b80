"""Databases that read much from outside of shared_buffers: from the disk or the system's cache."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import counted, too_young
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    yield from too_young(RULE, health, limits)
    for one in counted(health, limits):
        asked = one.blocks_hit + one.blocks_read
        if asked < max(1, limits.cache_minimum):
            continue
        share = one.blocks_hit / asked
        if share < limits.cache_hit:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                f"{share:.1%} of {asked:,} blocks were in shared_buffers.",
                "Look at what reads most (dbopt stats report), and for missing indexes (dbopt "
                "index advise), before you raise shared_buffers.",
                hit=one.blocks_hit,
                read=one.blocks_read,
                share=round(share, 4),
            )


RULE = Rule(
    "cache-hit",
    "Capacity",
    __doc__,
    _find,
    needs=("databases",),
    settings=("cache_hit", "cache_minimum", "counter_window"),
)
