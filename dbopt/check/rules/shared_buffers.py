"""shared_buffers as initdb leaves it, for a database that is far larger."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import alter_system, size
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity

INITIAL = float(128 << 20)
"""What initdb writes into postgresql.conf."""


def _find(health: Health, limits: Check) -> Found:
    now = health.number("shared_buffers") or INITIAL
    data = health.server.bytes or 0
    if now <= INITIAL and data > limits.shared_buffers * INITIAL:
        yield RULE.says(
            Severity.WARNING,
            "shared_buffers",
            f"It is {size(now)}, and {health.server.database} takes {size(data)}.",
            "Give it a quarter of the memory: "
            + alter_system(health, "shared_buffers", "'…GB'", restart=True),
            shared_buffers=int(now),
            database_bytes=data,
        )


RULE = Rule("shared-buffers", "Settings", __doc__, _find, settings=("shared_buffers",))
