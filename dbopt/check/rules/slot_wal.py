"""Replication slots that keep much WAL: the disk fills, or the slot is lost."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, graded, size
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    for slot in health.slots:
        low, high = limits.slot_wal_warning * MB, limits.slot_wal_critical * MB
        if (severity := graded(slot.retained_bytes, low, high)) and slot.retained_bytes:
            left = f", {size(slot.safe_bytes)} before it is lost" if slot.safe_bytes else ""
            yield RULE.says(
                severity,
                slot.name,
                f"It keeps {size(slot.retained_bytes)} of WAL{left}.",
                "Find out why its reader is behind; max_slot_wal_keep_size bounds what it keeps.",
                retained_bytes=slot.retained_bytes,
                safe_bytes=slot.safe_bytes,
                wal_status=slot.wal_status,
                active=slot.active,
            )


RULE = Rule(
    "slot-wal",
    "Replication",
    __doc__,
    _find,
    needs=("slots",),
    settings=("slot_wal_warning", "slot_wal_critical"),
)
