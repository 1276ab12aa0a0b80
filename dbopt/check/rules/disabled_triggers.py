"""Triggers that do not fire; a disabled foreign key lets anything in."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import qualified


def _find(health: Health, limits: Check) -> Found:
    for one in health.triggers:
        table = qualified(one.schema, one.table)
        which = "ALL" if one.internal else identifier(one.name)
        yield RULE.says(
            Severity.CRITICAL if one.internal else Severity.WARNING,
            f"{one.schema}.{one.table}.{one.name}",
            "The foreign key is not kept: its triggers are disabled."
            if one.internal
            else "The trigger is disabled.",
            f"ALTER TABLE {table} ENABLE TRIGGER {which};",
            foreign_key=one.internal,
        )


RULE = Rule("disabled-triggers", "Integrity", __doc__, _find, needs=("triggers",))
