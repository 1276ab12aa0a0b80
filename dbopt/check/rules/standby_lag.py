"""This standby is far behind its primary, or does not replay."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, duration, graded, size
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.recovery:
        by_time = graded(one.behind_seconds, limits.lag_warning, limits.lag_critical)
        by_size = graded(
            one.behind_bytes, limits.lag_bytes_warning * MB, limits.lag_bytes_critical * MB
        )
        severity = max(by_time or 0, by_size or 0, Severity.WARNING if one.paused else 0)
        if severity:
            behind = f"{duration(one.behind_seconds or 0)}, {size(one.behind_bytes or 0)}"
            yield RULE.says(
                Severity(severity),
                "server",
                "Replay is paused." if one.paused else f"This standby is behind: {behind}.",
                "SELECT pg_wal_replay_resume();"
                if one.paused
                else "Look at its disk, and at queries that replay waits for.",
                behind_seconds=one.behind_seconds,
                behind_bytes=one.behind_bytes,
                paused=one.paused,
            )


RULE = Rule(
    "standby-lag",
    "Replication",
    __doc__,
    _find,
    needs=("recovery",),
    settings=("lag_warning", "lag_critical", "lag_bytes_warning", "lag_bytes_critical"),
)
