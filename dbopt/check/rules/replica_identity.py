"""Published tables whose rows nothing tells apart: UPDATE and DELETE of them fail."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for table in health.unidentified:
        yield RULE.says(
            Severity.WARNING,
            str(table),
            f"{table.publication} publishes it, and it has no primary key or replica identity.",
            f"ALTER TABLE {sql_name(table)} ADD PRIMARY KEY (…); or REPLICA IDENTITY FULL",
            publication=table.publication,
        )


RULE = Rule("replica-identity", "Replication", __doc__, _find, needs=("unidentified",))
