"""Fewer synchronous standbys than synchronous_standby_names wants: every COMMIT waits."""

from __future__ import annotations

import re

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    names = (health.text("synchronous_standby_names") or "").strip()
    if not names or health.server.in_recovery or "replicas" in health.unseen:
        return
    found = re.match(r"(?:FIRST\s+|ANY\s+)?(\d+)\s*\(", names, re.IGNORECASE)
    wanted = int(found[1]) if found else 1
    there = [one.name for one in health.replicas if one.sync_state in ("sync", "quorum")]
    if len(there) < wanted:
        yield RULE.says(
            Severity.CRITICAL,
            "server",
            f"{len(there)} of the {wanted} synchronous standbys that are wanted are there: commits "
            "wait.",
            "Bring the standby back, or: "
            + alter_system(health, "synchronous_standby_names", "''"),
            wanted=wanted,
            there=there,
        )


RULE = Rule("sync-standby-missing", "Replication", __doc__, _find, needs=("replicas",))
