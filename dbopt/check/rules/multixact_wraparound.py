"""How near a database is to running out of multixact ids, which row locks of many sessions take.

Source: documentation, "Multixacts and Wraparound".
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import graded
from dbopt.checksettings import Check
from dbopt.pg.health import Health

USABLE = 2**31 - 3_000_000
"""Where the server stops (multixact.c, SetMultiXactIdLimit)."""


def _find(health: Health, limits: Check) -> Found:
    for one in health.databases:
        share = one.mxid_age / USABLE
        if severity := graded(share, limits.xid_warning, limits.xid_critical):
            yield RULE.says(
                severity,
                one.name,
                f"{share:.0%} of its multixact ids are used. After {USABLE - one.mxid_age:,} more "
                "it takes no more row locks that are shared.",
                f"vacuumdb --freeze --dbname={one.name}",
                mxid_age=one.mxid_age,
                left=USABLE - one.mxid_age,
                freeze_max_age=health.number("autovacuum_multixact_freeze_max_age"),
                failsafe_age=health.number("vacuum_multixact_failsafe_age"),
            )


RULE = Rule(
    "multixact-wraparound",
    "Wraparound",
    __doc__,
    _find,
    needs=("databases",),
    settings=("xid_warning", "xid_critical"),
)
