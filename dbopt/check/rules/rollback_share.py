"""Databases in which many transactions fail or roll back."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import counted, too_young
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    yield from too_young(RULE, health, limits)
    for one in counted(health, limits):
        ended = one.commits + one.rollbacks
        if ended < max(1, limits.rollback_minimum):
            continue
        share = one.rollbacks / ended
        if share > limits.rollback_share:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                f"{share:.1%} of {ended:,} transactions rolled back.",
                "The server's log has the errors. Some drivers roll back what they have only read.",
                rollbacks=one.rollbacks,
                commits=one.commits,
                share=round(share, 4),
            )


RULE = Rule(
    "rollback-share",
    "Capacity",
    __doc__,
    _find,
    needs=("databases",),
    settings=("rollback_share", "rollback_minimum", "counter_window"),
)
