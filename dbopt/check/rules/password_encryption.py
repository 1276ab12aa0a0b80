"""password_encryption md5: new passwords get a hash that is easily broken and can be replayed."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if health.text("password_encryption") == "md5":
        remedy = alter_system(health, "password_encryption", "'scram-sha-256'")
        yield RULE.says(
            Severity.WARNING,
            "password_encryption",
            "It is md5, which is easily broken, and goes away after PostgreSQL 18.",
            remedy,
            setting="md5",
        )


RULE = Rule("password-encryption", "Settings", __doc__, _find)
