"""Tables without statistics: the planner guesses."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import counted, own_tables, sql_name, too_young
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if not counted(health, limits):
        yield from too_young(RULE, health, limits)
        return
    for table in own_tables(health):
        if table.analyzed_ago is None and max(table.live, table.rows) >= limits.min_rows:
            yield RULE.says(
                Severity.WARNING,
                str(table),
                f"It has {max(table.live, table.rows):,} rows and was never analyzed.",
                f"ANALYZE {sql_name(table)};",
                live=table.live,
                modified=table.modified,
            )


RULE = Rule(
    "never-analyzed",
    "Vacuum",
    __doc__,
    _find,
    needs=("tables", "counters", "databases"),
    settings=("min_rows", "counter_window"),
)
