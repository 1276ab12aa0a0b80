"""work_mem that all connections together could take beyond the memory that there is."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import size
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    each = health.number("work_mem") or 0.0
    number = health.number("max_connections") or 0.0
    memory = health.number("effective_cache_size") or 0.0
    if memory and each * number > limits.work_mem * memory:
        yield RULE.says(
            Severity.WARNING,
            "work_mem",
            f"{size(each)} for each of {number:.0f} connections is {size(each * number)}, and a "
            f"statement may take several; effective_cache_size says {size(memory)}.",
            "Set it for the statements or roles that need it, or let fewer connections in "
            "(dbopt serve).",
            work_mem=int(each),
            max_connections=int(number),
            effective_cache_size=int(memory),
        )


RULE = Rule("work-mem", "Settings", __doc__, _find, settings=("work_mem",))
