"""No data checksums: damage by the disk is found late, or never."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.off("data_checksums"):
        yield RULE.says(
            Severity.INFO,
            "server",
            "Data checksums are off.",
            "Stop the server well, then: pg_checksums --enable -D DATA_DIRECTORY",
            setting="off",
        )


RULE = Rule("checksums-off", "Integrity", __doc__, _find)
