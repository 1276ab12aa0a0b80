"""Applications that log in as a superuser: a mistake, or an injection, reaches everything."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import clients, most, several
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

TOOLS = (
    "psql",
    "pgadmin",
    "dbeaver",
    "pg_dump",
    "pg_restore",
    "pg_basebackup",
    "dbopt",
    "pgbackrest",
)
"""Application names that begin so are people's, and of maintenance."""


def _find(health: Health, limits: Check) -> Found:
    found = [
        s
        for s in clients(health.sessions)
        if s.superuser
        and s.kind  # else its application is hidden
        and s.username != health.server.managed_by
        and not s.application.lower().startswith(TOOLS)
    ]
    for name, number in most((s.username for s in found), 100).items():
        applications = most(s.application or "-" for s in found if s.username == name)
        yield RULE.says(
            Severity.WARNING,
            name,
            f"{several(number, 'session')} of {', '.join(applications)} "
            f"{'is' if number == 1 else 'are'} a superuser's.",
            "CREATE ROLE app LOGIN; and GRANT it what the application needs",
            sessions=number,
            applications=applications,
        )


RULE = Rule("superuser-sessions", "Security", __doc__, _find, needs=("sessions",))
