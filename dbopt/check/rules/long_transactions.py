"""Transactions that have been open for long: they hold locks and keep VACUUM from cleaning up.

Those that idle, or run one long statement, are the other rules' unless they are young there.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, duration, graded, terminate
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import Session


def _find(health: Health, limits: Check) -> Found:
    for one in clients(health.sessions):
        severity = graded(
            one.transaction_seconds, limits.transaction_warning, limits.transaction_critical
        )
        if severity and one.transaction_seconds and not _said_elsewhere(one, limits):
            yield RULE.says(
                severity,
                f"pid {one.pid}",
                f"{one.who} has had a transaction open for {duration(one.transaction_seconds)} "
                f"({one.state or 'hidden'}).",
                terminate(one),
                seconds=round(one.transaction_seconds, 1),
                state=one.state,
                xmin_age=one.xmin_age,
            )


def _said_elsewhere(one: Session, limits: Check) -> bool:
    if one.state.startswith("idle in transaction"):
        return (one.state_seconds or 0) >= limits.idle_transaction_warning
    return one.state == "active" and (one.query_seconds or 0) >= limits.query_warning


RULE = Rule(
    "long-transactions",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions",),
    settings=(
        "transaction_warning",
        "transaction_critical",
        "idle_transaction_warning",
        "query_warning",
    ),
)
