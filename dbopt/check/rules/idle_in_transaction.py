"""Transactions that idle: what they have locked stays locked, and VACUUM cannot clean up."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, duration, graded, terminate
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    low, high = limits.idle_transaction_warning, limits.idle_transaction_critical
    for one in clients(health.sessions):
        idle = one.state_seconds if one.state.startswith("idle in transaction") else None
        if (severity := graded(idle, low, high)) and idle is not None:
            yield RULE.says(
                severity,
                f"pid {one.pid}",
                f"{one.who} has idled in a transaction for {duration(idle)}.",
                f"{terminate(one)} -- idle_in_transaction_session_timeout ends such by itself",
                seconds=round(idle, 1),
                transaction_seconds=round(one.transaction_seconds or 0.0, 1),
                state=one.state,
            )


RULE = Rule(
    "idle-in-transaction",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions",),
    settings=("idle_transaction_warning", "idle_transaction_critical"),
)
