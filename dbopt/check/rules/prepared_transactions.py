"""Prepared transactions that nobody has ended: they keep their locks, also over a restart."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import duration, graded, literal
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    for one in health.prepared:
        if severity := graded(one.seconds, limits.prepared_warning, limits.prepared_critical):
            yield RULE.says(
                severity,
                one.gid,
                f"{one.owner} prepared it in {one.database} {duration(one.seconds)} ago.",
                f"COMMIT PREPARED {literal(one.gid)}; or ROLLBACK PREPARED {literal(one.gid)}; "
                "as its transaction manager says",
                seconds=round(one.seconds, 1),
                xid_age=one.xid_age,
                owner=one.owner,
                database=one.database,
            )


RULE = Rule(
    "prepared-transactions",
    "Sessions",
    __doc__,
    _find,
    needs=("prepared",),
    settings=("prepared_warning", "prepared_critical"),
)
