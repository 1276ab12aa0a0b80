"""No limit to how long a statement may run."""

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
    found = [p for p in map(health.settings.get, ("statement_timeout",)) if p]
    if any(p.setting != "0" and p.source not in _SESSION for p in found):
        return
    if any(p.source in _SESSION for p in found):
        yield RULE.blind("statement_timeout", _OURS)
    elif found:
        yield RULE.says(
            Severity.INFO,
            "statement_timeout",
            "It is 0: a statement may run for ever.",
            "ALTER ROLE … SET statement_timeout = …; for applications' roles",
            setting="0",
        )


RULE = Rule("statement-timeout", "Settings", __doc__, _find)
