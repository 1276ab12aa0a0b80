"""Sequences near their end, or near what their column can hold: inserts fail then."""

from __future__ import annotations

from dbopt.check.rule import Found, Rule
from dbopt.check.rules.support import INTEGERS, graded, identifier, sql_name
from dbopt.checksettings import Check
from dbopt.pg.health import Health
from dbopt.pg.healthparts import Sequence


def _find(health: Health, limits: Check) -> Found:
    for one in health.sequences:
        share, limit = _used(one)
        severity = graded(share, limits.sequence_warning, limits.sequence_critical)
        if severity and (not one.cycles or limit < one.highest):
            yield RULE.says(
                severity,
                str(one),
                f"{share:.1%} of its values are used, up to {limit:,}"
                + (f" ({one.table}.{one.column}, {one.column_type})." if one.table else "."),
                _remedy(one),
                last_value=one.last_value,
                limit=limit,
                share=round(share, 4),
                column=f"{one.table}.{one.column}" if one.table else "",
                column_type=one.column_type,
            )


def _used(one: Sequence) -> tuple[float, int]:
    """The share of values that is used, and the last value that can be: the column's, if less."""
    limit = min(one.highest, INTEGERS.get(one.column_type, one.highest))
    if one.last_value is None:
        return 0.0, limit
    if one.increment < 0:
        return (one.highest - one.last_value) / max(1, one.highest - one.lowest), one.lowest
    return (one.last_value - one.lowest) / max(1, limit - one.lowest), limit


def _remedy(one: Sequence) -> str:
    words = []
    if one.type != "bigint":
        words.append(f"ALTER SEQUENCE {sql_name(one)} AS bigint;")
    if one.column_type in ("smallint", "integer"):
        column = identifier(one.column)
        words.append(
            f"ALTER TABLE {one.table} ALTER COLUMN {column} TYPE bigint; "
            "-- rewrites it under a lock: of a large table fill a new column instead"
        )
    return " ".join(words) or f"ALTER SEQUENCE {sql_name(one)} MAXVALUE …; or CYCLE"


RULE = Rule(
    "sequence-exhaustion",
    "Capacity",
    __doc__,
    _find,
    needs=("sequences",),
    settings=("sequence_warning", "sequence_critical"),
)
