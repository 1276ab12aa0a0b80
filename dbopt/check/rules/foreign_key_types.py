"""Foreign keys whose column is of another type than what it refers to: it runs out first, or
compares by a cast.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import qualified


def _find(health: Health, limits: Check) -> Found:
    for one in health.foreign_keys:
        yield RULE.says(
            Severity.WARNING,
            f"{one.schema}.{one.table}.{one.name}",
            f"{one.column} is {one.type} and refers to {one.referenced_type}.",
            f"ALTER TABLE {qualified(one.schema, one.table)} ALTER COLUMN {identifier(one.column)} "
            f"TYPE {one.referenced_type}; -- rewrites it under a lock",
            type=one.type,
            referenced_type=one.referenced_type,
        )


RULE = Rule("foreign-key-types", "Schema", __doc__, _find, needs=("foreign_keys",))
