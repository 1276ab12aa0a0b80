"""Tables without a primary key: a row cannot be told from its copy, replicated or repaired."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for table in health.tables:
        ours = table.system or table.schema == "dbopt" or table.of_extension
        if ours or table.partition or table.kind not in ("r", "p") or table.has_primary_key:
            continue
        rows = max(table.live, table.rows)
        yield RULE.says(
            Severity.WARNING if rows >= limits.min_rows else Severity.INFO,
            str(table),
            "It has no primary key.",
            f"ALTER TABLE {sql_name(table)} ADD COLUMN id bigint GENERATED ALWAYS AS IDENTITY "
            "PRIMARY KEY; -- or of the columns that tell a row",
            rows=max(0, rows),
        )


RULE = Rule("no-primary-key", "Schema", __doc__, _find, needs=("tables",), settings=("min_rows",))
