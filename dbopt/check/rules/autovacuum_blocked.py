"""Autovacuum workers that wait for somebody's lock: the table is not cleaned up meanwhile."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import duration
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for worker in health.sessions:
        if worker.kind != "autovacuum worker" or not worker.blocked_by:
            continue
        known = [w.seconds for w in health.waits if w.pid == worker.pid and w.seconds is not None]
        seconds = known[0] if known else worker.query_seconds or 0.0
        if seconds >= limits.blocking_warning:
            pids = ", ".join(map(str, worker.blocked_by))
            yield RULE.says(
                Severity.WARNING,
                f"pid {worker.pid}",
                f"{worker.doing or 'It'} has waited {duration(seconds)} for pid {pids}.",
                "; ".join(f"SELECT pg_terminate_backend({pid})" for pid in worker.blocked_by) + ";",
                seconds=round(seconds, 1),
                blocked_by=list(worker.blocked_by),
            )


RULE = Rule(
    "autovacuum-blocked",
    "Vacuum",
    __doc__,
    _find,
    needs=("sessions", "waits"),
    settings=("blocking_warning",),
)
