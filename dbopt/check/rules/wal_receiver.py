"""This standby is not connected to its primary."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.recovery:
        if one.receivers:
            continue
        if one.wants_receiver is None:
            unseen = Unseen(
                "Whether this standby should stream is hidden from this role.",
                f"GRANT pg_read_all_settings TO {health.server.quoted_role};",
            )
            yield RULE.blind("server", unseen)
        elif one.wants_receiver:
            yield RULE.says(
                Severity.CRITICAL,
                "server",
                "This standby receives nothing from its primary.",
                "Look at its log: primary_conninfo, the network, the slot, WAL that is gone.",
                receivers=0,
            )


RULE = Rule("wal-receiver", "Replication", __doc__, _find, needs=("recovery",))
