"""How near the server is to refusing connections."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, graded, most
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    most_of_all = health.number("max_connections") or 0
    reserved = sum(
        health.number(name) or 0
        for name in ("superuser_reserved_connections", "reserved_connections")
    )
    allowed = max(1.0, most_of_all - reserved)
    used = clients(health.sessions)
    number = len(used) + 1  # and this one
    share = number / allowed
    if severity := graded(share, limits.connections_warning, limits.connections_critical):
        users = most(s.username for s in used)
        yield RULE.says(
            severity,
            "server",
            f"{number} of {allowed:.0f} connections are used, most by "
            + ", ".join(f"{name} ({count})" for name, count in users.items())
            + ".",
            "Let clients share connections (dbopt serve) before you raise max_connections.",
            used=number,
            allowed=int(allowed),
            reserved=int(reserved),
            share=round(share, 3),
            users=users,
            states=most(s.state or "hidden" for s in used),
        )


RULE = Rule(
    "connections",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions",),
    settings=("connections_warning", "connections_critical"),
)
