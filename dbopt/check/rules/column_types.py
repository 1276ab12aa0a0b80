"""Columns of types that are better not used: json, char(n), money, timetz.

Source: PostgreSQL's wiki, "Don't Do This".
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import qualified

BETTER = {
    "json": ("it is parsed at each look, has no equality and few indexes.", "jsonb"),
    "bpchar": ("it is padded with blanks, which comparisons then ignore.", "text"),
    "money": ("its currency hangs on a setting, and it rounds.", "numeric"),
    "timetz": ("an offset without a date means little.", "timestamptz"),
}
"""Of each type what is wrong with it, and what to use instead."""


def _find(health: Health, limits: Check) -> Found:
    for one in health.columns:
        if one.schema == "dbopt":
            continue
        why, instead = BETTER[one.base]
        yield RULE.says(
            Severity.INFO,
            f"{one.schema}.{one.table}.{one.column}",
            f"{one.type}: {why}",
            f"ALTER TABLE {qualified(one.schema, one.table)} ALTER COLUMN {identifier(one.column)} "
            f"TYPE {instead}; -- rewrites it under a lock",
            type=one.type,
        )


RULE = Rule("column-types", "Schema", __doc__, _find, needs=("columns",))
