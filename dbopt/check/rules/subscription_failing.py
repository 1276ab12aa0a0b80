"""Subscriptions that do not run, or whose changes could not be applied."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import several
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.subscriptions:
        errors = (one.apply_errors or 0) + (one.sync_errors or 0)
        if one.enabled and (errors or not one.running):
            yield RULE.says(
                Severity.WARNING if one.running else Severity.CRITICAL,
                one.name,
                f"{several(errors, 'error')} counted." if one.running else "It does not run.",
                "The server's log has the reason; ALTER SUBSCRIPTION … SKIP passes a conflict.",
                running=one.running,
                apply_errors=one.apply_errors,
                sync_errors=one.sync_errors,
            )


RULE = Rule("subscription-failing", "Replication", __doc__, _find, needs=("subscriptions",))
