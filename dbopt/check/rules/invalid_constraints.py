"""Constraints that were never proven for the rows that are there: the planner cannot use them, and
rows may break them.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import qualified

KINDS = {"f": "foreign key", "c": "check", "n": "not-null constraint"}


def _find(health: Health, limits: Check) -> Found:
    for one in health.constraints:
        yield RULE.says(
            Severity.WARNING,
            f"{one.schema}.{one.table}.{one.name}",
            f"The {KINDS.get(one.kind, 'constraint')} is NOT VALID.",
            f"ALTER TABLE {qualified(one.schema, one.table)} VALIDATE CONSTRAINT "
            f"{identifier(one.name)};",
            kind=one.kind,
        )


RULE = Rule("invalid-constraints", "Integrity", __doc__, _find, needs=("constraints",))
