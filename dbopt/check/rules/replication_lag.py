"""Standbys and subscribers that are far behind."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, duration, graded, size
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.replicas:
        by_time = graded(one.behind_seconds, limits.lag_warning, limits.lag_critical)
        by_size = graded(
            one.behind_bytes, limits.lag_bytes_warning * MB, limits.lag_bytes_critical * MB
        )
        severity = max(by_time or 0, by_size or 0)
        if severity and one.state in ("streaming", "catchup"):
            words = [duration(one.behind_seconds)] if one.behind_seconds is not None else []
            words += [size(one.behind_bytes)] if one.behind_bytes is not None else []
            yield RULE.says(
                Severity(severity),
                one.name or one.address,
                f"It is {' and '.join(words)} behind ({one.state}).",
                "Look at its disk, its network, and queries there that replay waits for.",
                behind_seconds=one.behind_seconds,
                behind_bytes=one.behind_bytes,
                state=one.state,
                address=one.address,
            )


RULE = Rule(
    "replication-lag",
    "Replication",
    __doc__,
    _find,
    needs=("replicas",),
    settings=("lag_warning", "lag_critical", "lag_bytes_warning", "lag_bytes_critical"),
)
