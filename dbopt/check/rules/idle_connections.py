"""Connections that do nothing: each takes memory, and a place of max_connections."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, most
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    idle = [s for s in clients(health.sessions) if s.state == "idle"]
    allowed = health.number("max_connections") or 1
    share = len(idle) / allowed
    if share > limits.idle_connections:
        applications = most(s.application or s.username for s in idle)
        yield RULE.says(
            Severity.WARNING,
            "server",
            f"{len(idle)} of {allowed:.0f} connections are idle.",
            "Let clients share connections: dbopt serve, pool.mode transaction.",
            idle=len(idle),
            share=round(share, 3),
            applications=applications,
        )


RULE = Rule(
    "idle-connections",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions",),
    settings=("idle_connections",),
)
