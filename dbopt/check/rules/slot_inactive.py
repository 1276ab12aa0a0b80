"""Replication slots that nobody uses: the server keeps WAL for them until the disk is full."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import duration, literal, size
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for slot in health.slots:
        synced = health.server.in_recovery and slot.kind == "logical"  # kept for a failover
        if slot.active or slot.invalid or slot.wal_status == "lost" or synced:
            continue
        idle = slot.inactive_seconds
        if idle is None or idle >= limits.slot_inactive:
            since = "" if idle is None else f" for {duration(idle)}"
            kept = size(slot.retained_bytes or 0)
            yield RULE.says(
                Severity.WARNING,
                slot.name,
                f"Nobody has used this {slot.kind} slot{since}; it keeps {kept} of WAL.",
                f"SELECT pg_drop_replication_slot({literal(slot.name)});",
                retained_bytes=slot.retained_bytes,
                inactive_seconds=idle,
                wal_status=slot.wal_status,
            )


RULE = Rule(
    "slot-inactive", "Replication", __doc__, _find, needs=("slots",), settings=("slot_inactive",)
)
