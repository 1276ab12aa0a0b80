"""Subscriptions that are turned off, by hand or by an error: the publisher keeps WAL for them."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.subscriptions:
        if not one.enabled:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                "It is disabled: its tables stand still.",
                f"ALTER SUBSCRIPTION {identifier(one.name)} ENABLE;",
                apply_errors=one.apply_errors,
            )


RULE = Rule("subscription-disabled", "Replication", __doc__, _find, needs=("subscriptions",))
