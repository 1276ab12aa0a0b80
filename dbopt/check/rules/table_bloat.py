"""Tables much larger than their rows: an estimate by average widths of columns.

It errs with wide values that are stored elsewhere (TOAST), with columns of type name, and with
old statistics; pgstattuple_approx() measures.
"""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import MB, graded, literal, size, sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import Bloat
from dbopt.sql.findings import Severity


def _find(health: Health, limits: Check) -> Found:
    for table in health.bloat:
        large = table.pages * health.server.block_size >= limits.bloat_minimum * MB
        if table.needed_pages is None or not large or not table.pages:
            continue
        share = max(0.0, 1 - table.needed_pages / table.pages)
        if severity := graded(share, limits.bloat_warning, limits.bloat_critical):
            wasted = (table.pages - table.needed_pages) * health.server.block_size
            yield RULE.says(
                Severity.INFO if table.odd else severity,
                str(table),
                f"About {share:.0%} of it, {size(wasted)}, holds no rows (an estimate).",
                _remedy(table),
                wasted_bytes=wasted,
                share=round(share, 3),
                pages=table.pages,
                certain=not table.odd,
            )


def _remedy(table: Bloat) -> str:
    name = sql_name(table)
    return (
        "CREATE EXTENSION IF NOT EXISTS pgstattuple; SELECT * FROM "  # noqa: S608 - shown, not run
        f"pgstattuple_approx({literal(name)}); -- measures it. pg_repack makes it small, or "
        f"VACUUM (FULL) {name}; which locks it."
    )


RULE = Rule(
    "table-bloat",
    "Vacuum",
    __doc__,
    _find,
    needs=("bloat", "counters"),
    settings=("bloat_minimum", "bloat_warning", "bloat_critical"),
)
