"""Checkpoints that WAL's volume forces before their time: more writes, and whole pages in WAL."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, alter_system
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for one in health.checkpoints:
        number = one.timed + one.requested
        if number < max(1, limits.checkpoint_minimum):
            continue
        share = one.requested / number
        if share > limits.requested_checkpoints:
            now = health.number("max_wal_size") or float(1 << 30)
            yield RULE.says(
                Severity.WARNING,
                "server",
                f"{share:.0%} of {number:,} checkpoints came before checkpoint_timeout.",
                alter_system(health, "max_wal_size", f"'{round(now * 2 / MB)}MB'"),
                requested=one.requested,
                timed=one.timed,
                max_wal_size=int(now),
                checkpoint_timeout=health.number("checkpoint_timeout"),
            )


RULE = Rule(
    "checkpoints",
    "Capacity",
    __doc__,
    _find,
    needs=("checkpoints",),
    settings=("requested_checkpoints", "checkpoint_minimum"),
)
