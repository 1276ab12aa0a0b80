"""Passwords that are stored as MD5: who reads one can log in with it."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import identifier
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.passwords:
        yield RULE.says(
            Severity.WARNING,
            one.name,
            "Its password is stored as MD5.",
            f"\\password {identifier(one.name)} -- in psql, with password_encryption scram-sha-256",
        )


RULE = Rule("md5-passwords", "Security", __doc__, _find, needs=("passwords",))
