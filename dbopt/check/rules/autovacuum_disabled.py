"""Tables for which autovacuum was turned off, and perhaps never on again."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import own_tables, sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

OFF = ("false", "off", "no", "0", "f", "n", "of", "fa", "fal", "fals")
"""What PostgreSQL reads as false: each word, or a beginning of it that tells."""


def _find(health: Health, limits: Check) -> Found:
    for table in own_tables(health):
        value = table.option("autovacuum_enabled")
        if value is not None and value.lower() in OFF:
            yield RULE.says(
                Severity.WARNING,
                str(table),
                "Autovacuum is turned off for it.",
                f"ALTER TABLE {sql_name(table)} RESET (autovacuum_enabled);",
                dead=table.dead,
                vacuumed_ago=table.vacuumed_ago,
            )


RULE = Rule("autovacuum-disabled", "Vacuum", __doc__, _find, needs=("tables",))
