"""Roles whose password has expired or soon does: their logins by password fail."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import DAY, duration, identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.roles:
        if one.expires_in is None or one.expires_in > limits.expiry_warning * DAY:
            continue
        past = one.expires_in < 0
        when = duration(abs(one.expires_in))
        yield RULE.says(
            Severity.WARNING,
            one.name,
            f"Its password expired {when} ago." if past else f"Its password expires in {when}.",
            f"ALTER ROLE {identifier(one.name)} PASSWORD … VALID UNTIL …; (\\password in psql)",
            seconds=round(one.expires_in),
        )


RULE = Rule(
    "expiring-roles", "Security", __doc__, _find, needs=("roles",), settings=("expiry_warning",)
)
