"""No limit to how long a transaction may idle: one forgotten one holds all up."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthunseen import Unseen
from dbopt.sql.findings import Severity

_SESSION = ("client", "session")
_OURS = Unseen(
    "Our own session sets it, which hides the server's value.",
    "Leave it out of PGOPTIONS and of server.dsn's options.",
)


def _find(health: Health, limits: Check) -> Found:
    found = [
        p
        for p in map(
            health.settings.get, ("idle_in_transaction_session_timeout", "transaction_timeout")
        )
        if p
    ]
    if any(p.setting != "0" and p.source not in _SESSION for p in found):
        return
    if any(p.source in _SESSION for p in found):
        yield RULE.blind("idle_in_transaction_session_timeout", _OURS)
    elif found:
        yield RULE.says(
            Severity.INFO,
            "idle_in_transaction_session_timeout",
            "It is 0: a transaction may idle, and keep its locks, for ever.",
            "ALTER ROLE … SET idle_in_transaction_session_timeout = …; for applications' roles",
            setting="0",
        )


RULE = Rule("idle-transaction-timeout", "Settings", __doc__, _find)
