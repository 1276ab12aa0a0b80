"""Small integer primary keys, fed by no sequence, whose values come near the type's end."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import INTEGERS, graded, identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.indexdef import qualified


def _find(health: Health, limits: Check) -> Found:
    for one in health.keys:
        limit = INTEGERS[one.type]
        share = (one.highest or 0) / limit
        if severity := graded(share, limits.sequence_warning, limits.sequence_critical):
            yield RULE.says(
                severity,
                f"{one.schema}.{one.table}.{one.column}",
                f"ANALYZE saw {one.highest:,}, {share:.1%} of what {one.type} holds. (Values that "
                "are drawn at random may be anywhere.)",
                f"ALTER TABLE {qualified(one.schema, one.table)} ALTER COLUMN "
                f"{identifier(one.column)} TYPE bigint; -- rewrites it under a lock",
                highest=one.highest,
                share=round(share, 4),
                type=one.type,
            )


RULE = Rule(
    "key-exhaustion",
    "Capacity",
    __doc__,
    _find,
    needs=("keys",),
    settings=("sequence_warning", "sequence_critical"),
)
