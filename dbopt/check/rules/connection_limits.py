"""Roles and databases that are near their own limit of connections."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, graded, identifier, most
from dbopt.checksettings import Check
from dbopt.pg.health import Health


def _find(health: Health, limits: Check) -> Found:
    used = clients(health.sessions)
    limited = [
        (
            f"role {r.name}",
            r.connection_limit,
            most((s.username for s in used), 10_000).get(r.name, 0),
        )
        for r in health.roles
    ]
    limited += [(f"database {d.name}", d.connection_limit, d.sessions) for d in health.databases]
    for name, limit, number in limited:
        if limit <= 0:
            continue
        share = number / limit
        if severity := graded(share, limits.connections_warning, limits.connections_critical):
            kind, _, own = name.partition(" ")
            yield RULE.says(
                severity,
                name,
                f"It uses {number} of its {limit} connections.",
                f"ALTER {kind.upper()} {identifier(own)} CONNECTION LIMIT {limit * 2};",
                used=number,
                limit=limit,
            )


RULE = Rule(
    "connection-limits",
    "Sessions",
    __doc__,
    _find,
    needs=("sessions", "roles", "databases"),
    settings=("connections_warning", "connections_critical"),
)
