"""Unlogged tables: a crash empties them, and no standby has their rows."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import own_tables, sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for table in own_tables(health):
        if table.unlogged:
            yield RULE.says(
                Severity.INFO,
                str(table),
                "It is unlogged: a crash empties it.",
                f"ALTER TABLE {sql_name(table)} SET LOGGED; -- unless it may be lost",
                rows=max(0, table.rows),
            )


RULE = Rule("unlogged-tables", "Schema", __doc__, _find, needs=("tables",))
