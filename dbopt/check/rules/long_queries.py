"""Statements that have run for long."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, duration, graded
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    for one in clients(health.sessions):
        running = one.query_seconds if one.state == "active" else None
        if (severity := graded(running, limits.query_warning, limits.query_critical)) and running:
            waits = f", waiting for {one.wait_type}: {one.wait_event}" if one.wait_type else ""
            yield RULE.says(
                severity,
                f"pid {one.pid}",
                f"A statement of {one.who} has run for {duration(running)}{waits}.",
                f"SELECT pg_cancel_backend({one.pid});",
                seconds=round(running, 1),
                wait_type=one.wait_type,
                wait_event=one.wait_event,
            )


RULE = Rule(
    "long-queries",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions",),
    settings=("query_warning", "query_critical"),
)
