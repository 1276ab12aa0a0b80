"""pg_stat_statements is not there: which statements cost most is not known."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    if "pg_stat_statements.max" not in health.settings:
        yield RULE.says(
            Severity.INFO,
            "pg_stat_statements",
            "Its library is not loaded.",
            alter_system(health, "shared_preload_libraries", "'pg_stat_statements'", restart=True),
            loaded=False,
        )
    elif not health.server.statements_version:
        yield RULE.says(
            Severity.INFO,
            "pg_stat_statements",
            f"Its library is loaded, and {health.server.database} lacks the extension.",
            "CREATE EXTENSION pg_stat_statements;",
            loaded=True,
        )


RULE = Rule("statements-missing", "Software", __doc__, _find)
