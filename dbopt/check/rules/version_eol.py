"""A major version that gets no more fixes, or soon none.

Source: https://www.postgresql.org/support/versioning/.
"""

from __future__ import annotations

from datetime import date

from dbopt.check.rule import Found, Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

END_OF_LIFE = {
    13: date(2025, 11, 13),
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}


def _find(health: Health, limits: Check) -> Found:
    end = END_OF_LIFE.get(health.server.major)
    if end is None:
        return
    left = (end - health.server.now.date()).days
    if left < limits.eol_warning:
        yield RULE.says(
            Severity.WARNING if left < 0 else Severity.INFO,
            f"PostgreSQL {health.server.major}",
            f"It gets no fixes {'since' if left < 0 else 'after'} {end}.",
            "Upgrade to a later major version (pg_upgrade).",
            end_of_life=end.isoformat(),
            days_left=left,
        )


RULE = Rule("version-eol", "Software", __doc__, _find, settings=("eol_warning",))
