"""How near a database is to running out of transaction ids, when it takes no more writes.

Source: documentation, "Preventing Transaction ID Wraparound Failures".
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import graded
from dbopt.checksettings import Check
from dbopt.pg.health import Health

USABLE = 2**31 - 3_000_000
"""Where the server stops (varsup.c, SetTransactionIdLimit)."""


def _find(health: Health, limits: Check) -> Found:
    for one in health.databases:
        share = one.xid_age / USABLE
        if severity := graded(share, limits.xid_warning, limits.xid_critical):
            yield RULE.says(
                severity,
                one.name,
                f"{share:.0%} of its transaction ids are used. After {USABLE - one.xid_age:,} more "
                "it takes no more writes.",
                "See what holds vacuum up (dbopt check --only xmin-horizon,freeze-age), then: "
                f"vacuumdb --freeze --dbname={one.name}",
                xid_age=one.xid_age,
                left=USABLE - one.xid_age,
                freeze_max_age=health.number("autovacuum_freeze_max_age"),
                failsafe_age=health.number("vacuum_failsafe_age"),
            )


RULE = Rule(
    "xid-wraparound",
    "Wraparound",
    __doc__,
    _find,
    needs=("databases",),
    settings=("xid_warning", "xid_critical"),
)
