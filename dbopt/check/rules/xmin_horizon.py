"""Who keeps VACUUM from removing dead rows: sessions, prepared transactions, slots, standbys.

Dead rows that anybody might still see stay, in every table. That is bloat first, and wraparound
in the end.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import graded, literal, terminate
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    holders = [
        (s.xmin_age, f"pid {s.pid}", f"The session of {s.who}", terminate(s))
        for s in health.sessions
        if s.kind != "autovacuum worker"
    ]
    holders += [
        (p.xid_age, p.gid, "The prepared transaction", f"ROLLBACK PREPARED {literal(p.gid)};")
        for p in health.prepared
    ]
    holders += [
        (
            s.xmin_age,
            s.name,
            "The replication slot",
            f"SELECT pg_drop_replication_slot({literal(s.name)});",
        )
        for s in health.slots
    ]
    holders += [
        (
            r.xmin_age,
            r.name or r.address,
            "The standby, by hot_standby_feedback,",
            "End its long queries.",
        )
        for r in health.replicas
    ]
    for age, who, what, remedy in holders:
        if severity := graded(age, limits.xmin_warning, limits.xmin_critical):
            message = f"{what} keeps VACUUM from cleaning up after the last {age:,} transactions."
            yield RULE.says(severity, who, message, remedy, xmin_age=age)


RULE = Rule(
    "xmin-horizon",
    "Wraparound",
    __doc__,
    _find,
    needs=("sessions", "prepared", "slots", "replicas"),
    settings=("xmin_warning", "xmin_critical"),
)
