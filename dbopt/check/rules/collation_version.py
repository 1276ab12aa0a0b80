"""Collations whose library has changed: indexes on text may be in a wrong order, and miss rows."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier, sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.databases:
        changed = one.collation_actual and one.collation_recorded
        if changed and one.collation_actual != one.collation_recorded:
            yield RULE.says(
                Severity.WARNING,
                one.name,
                f"It was made with version {one.collation_recorded} of its collation, and runs "
                f"with {one.collation_actual}.",
                f"REINDEX DATABASE {identifier(one.name)}; ALTER DATABASE {identifier(one.name)} "
                "REFRESH COLLATION VERSION;",
                recorded=one.collation_recorded,
                actual=one.collation_actual,
            )
    for collation in health.collations:
        yield RULE.says(
            Severity.WARNING,
            str(collation),
            f"It was made with version {collation.recorded}, and runs with {collation.actual}.",
            "REINDEX the indexes on its columns, then: ALTER COLLATION "
            f"{sql_name(collation)} REFRESH VERSION;",
            recorded=collation.recorded,
            actual=collation.actual,
        )


RULE = Rule("collation-version", "Integrity", __doc__, _find, needs=("databases", "collations"))
