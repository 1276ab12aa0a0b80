"""Tables with many more dead rows than autovacuum waits for, by their own parameters."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import graded, own_tables, sql_name, vacuum_threshold
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    for table in own_tables(health):
        threshold = max(1.0, vacuum_threshold(health, table))
        times = table.dead / threshold
        severity = graded(times, limits.vacuum_warning, limits.vacuum_critical)
        if severity and table.dead >= limits.min_rows:
            yield RULE.says(
                severity,
                str(table),
                f"{table.dead:,} dead rows, {times:.1f} times what autovacuum waits for.",
                f"VACUUM (VERBOSE, ANALYZE) {sql_name(table)};",
                dead=table.dead,
                live=table.live,
                threshold=round(threshold),
                vacuumed_ago=table.vacuumed_ago,
            )


RULE = Rule(
    "autovacuum-lag",
    "Vacuum",
    __doc__,
    _find,
    needs=("tables", "counters"),
    settings=("vacuum_warning", "vacuum_critical", "min_rows"),
)
