"""Replication slots that lost the WAL that they need, or are about to: their reader starts anew."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system, literal
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for slot in health.slots:
        lost = slot.wal_status == "lost" or bool(slot.invalid)
        if lost or slot.wal_status == "unreserved":
            why = slot.invalid.replace("_", " ") or f"WAL {slot.wal_status}"
            yield RULE.says(
                Severity.CRITICAL,
                slot.name,
                f"Its reader {'must start anew' if lost else 'soon has to start anew'}: {why}.",
                f"SELECT pg_drop_replication_slot({literal(slot.name)}); and make the standby or "
                "subscription anew"
                if lost
                else alter_system(health, "max_slot_wal_keep_size", "-1"),
                wal_status=slot.wal_status,
                reason=slot.invalid,
                active=slot.active,
            )


RULE = Rule("slot-lost", "Replication", __doc__, _find, needs=("slots",))
