"""Tables that have changed much since ANALYZE: the planner goes by what is no more."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import analyze_threshold, own_tables, sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for table in own_tables(health):
        threshold = max(1.0, analyze_threshold(health, table))
        times = table.modified / threshold
        old = table.analyzed_ago is not None and table.modified >= limits.min_rows
        if old and times >= limits.analyze_warning:
            yield RULE.says(
                Severity.WARNING,
                str(table),
                f"{table.modified:,} rows changed since ANALYZE, {times:.1f} times what autovacuum "
                "waits for.",
                f"ANALYZE {sql_name(table)};",
                modified=table.modified,
                threshold=round(threshold),
                analyzed_ago=table.analyzed_ago,
            )


RULE = Rule(
    "stale-statistics",
    "Vacuum",
    __doc__,
    _find,
    needs=("tables", "counters"),
    settings=("analyze_warning", "min_rows"),
)
