"""The server's clock and ours differ: times in reports, and timestamps, cannot be compared."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import duration
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    skew = health.server.clock_skew
    if skew is not None and abs(skew) > limits.clock_skew:
        yield RULE.says(
            Severity.WARNING,
            "server",
            f"Its clock is {duration(abs(skew))} {'ahead of' if skew > 0 else 'behind'} ours.",
            "Let both follow NTP (chronyd, systemd-timesyncd).",
            seconds=round(skew, 3),
        )


RULE = Rule("clock-skew", "Software", __doc__, _find, settings=("clock_skew",))
