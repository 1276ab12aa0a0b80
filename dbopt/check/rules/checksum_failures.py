"""Blocks that failed their checksum: the disk, or the memory, damages data."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import several
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.databases:
        if one.checksum_failures:
            yield RULE.says(
                Severity.CRITICAL,
                one.name or "shared tables",
                f"{several(one.checksum_failures, 'block')} failed the checksum.",
                "Stop writing, copy the data directory, look at the disk; restore from a backup.",
                failures=one.checksum_failures,
            )


RULE = Rule("checksum-failures", "Integrity", __doc__, _find, needs=("databases",))
