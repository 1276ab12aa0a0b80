"""Parameters that were changed and wait for a restart: what runs is not what is written."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    waiting = sorted(p.name for p in health.settings.values() if p.pending_restart)
    if waiting:
        yield RULE.says(
            Severity.WARNING,
            "server",
            f"A restart would change {', '.join(waiting)}.",
            "Restart the server when it suits: pg_ctl restart",
            parameters=waiting,
        )


RULE = Rule("pending-restart", "Settings", __doc__, _find)
