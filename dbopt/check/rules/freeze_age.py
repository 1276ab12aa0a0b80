"""Tables that autovacuum should have frozen by now: wraparound begins with one table."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import Table
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for table in health.tables:
        share, xid = max(_shares(health, table))
        if share < limits.freeze_warning:
            continue
        yield RULE.says(
            Severity.WARNING,
            str(table),
            f"Its oldest {'transaction' if xid else 'multixact'} id is {share:.1f} times as old as "
            "autovacuum lets one get.",
            f"VACUUM (FREEZE, VERBOSE) {sql_name(table)};",
            xid_age=table.xid_age,
            mxid_age=table.mxid_age,
            times=round(share, 2),
        )


def _shares(health: Health, table: Table) -> tuple[tuple[float, bool], tuple[float, bool]]:
    """Ages in the largest that autovacuum lets be: of the transaction ids and of multixacts."""
    xid = _limit(health, table, "autovacuum_freeze_max_age")
    mxid = _limit(health, table, "autovacuum_multixact_freeze_max_age")
    return ((table.xid_age or 0) / xid, True), ((table.mxid_age or 0) / mxid, False)


def _limit(health: Health, table: Table, name: str) -> float:
    """A table's own limit counts only where it is lower than the server's."""
    limit = health.number(name) or 2e8
    own = table.option(name)
    return max(1.0, min(limit, float(own))) if own else limit


RULE = Rule(
    "freeze-age", "Wraparound", __doc__, _find, needs=("tables",), settings=("freeze_warning",)
)
