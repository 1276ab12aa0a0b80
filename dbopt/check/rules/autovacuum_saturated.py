"""All autovacuum workers are busy while tables wait for one."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system, own_tables, several, vacuum_threshold
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    workers = [s for s in health.sessions if s.kind == "autovacuum worker"]
    allowed = int(health.number("autovacuum_max_workers") or 3)
    due = [t for t in own_tables(health) if t.dead > vacuum_threshold(health, t)]
    waiting = len(due) - len(workers)
    if len(workers) >= allowed and waiting > 0:
        yield RULE.says(
            Severity.WARNING,
            "server",
            f"All {allowed} autovacuum workers are busy, and {several(waiting, 'table')} of "
            f"{health.server.database} {'waits' if waiting == 1 else 'wait'}.",
            alter_system(health, "autovacuum_vacuum_cost_limit", "2000"),
            workers=len(workers),
            waiting=waiting,
            doing=[s.doing for s in workers],
        )


RULE = Rule(
    "autovacuum-saturated", "Vacuum", __doc__, _find, needs=("sessions", "tables", "counters")
)
