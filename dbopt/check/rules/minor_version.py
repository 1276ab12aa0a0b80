"""A minor version that is not the latest that we know of: fixed bugs and holes are still there."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

LATEST = {13: 23, 14: 24, 15: 20, 16: 15, 17: 11, 18: 6}
"""The latest minor versions that this release of dbopt knows of."""
AS_OF = "as of August 2026"


def _find(health: Health, limits: Check) -> Found:
    latest = LATEST.get(health.server.major, 0)
    if health.server.minor < latest:
        yield RULE.says(
            Severity.WARNING,
            f"PostgreSQL {health.server.major}.{health.server.minor}",
            f"{health.server.major}.{latest} is out ({AS_OF}).",
            "Install it and restart: minor versions need nothing else.",
            running=health.server.minor,
            latest=latest,
        )


RULE = Rule("minor-version", "Software", __doc__, _find)
