"""The current time compared without its zone: the answer depends on the session's TimeZone."""

from __future__ import annotations

from collections.abc import Iterator

from sqlglot import exp

from dbopt.sql.findings import Severity
from dbopt.sql.rules.predicates import Scopes
from dbopt.sql.rules.sources import statement_of
from dbopt.sql.rules.support import Match, Rule
from dbopt.sql.script import Subject

_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)
_NOW_CALLS = frozenset({"clock_timestamp", "statement_timestamp", "transaction_timestamp"})
"""Like now() these give a timestamp with time zone."""


def _check(subject: Subject) -> Iterator[Match]:
    scopes = Scopes(subject.schema)
    for node in subject.tree.find_all(*_COMPARISONS) if subject.tree is not None else ():
        if node.arg_key == "expressions" and isinstance(node.parent, exp.Update | exp.OnConflict):
            continue  # SET, not a comparison
        sides = [node.this, *(node.args.get(key) for key in ("expression", "low", "high"))]
        found = _about(scopes, [side for side in sides if isinstance(side, exp.Expr)])
        if found:
            yield Match(subject, found, node)


def _about(scopes: Scopes, sides: list[exp.Expr]) -> str:
    """What is wrong with a comparison of these, "" if nothing is."""
    if not any(side.find(exp.Column) is not None for side in sides):
        return ""
    clocks = [clock for clock in map(_clock, sides) if clock]
    if "local" in clocks:
        return "LOCALTIMESTAMP is the session's wall clock: it differs from zone to zone."
    if "cast" in clocks:
        return "A cast to timestamp drops the zone of now(): the session's wall clock is left."
    if "now" in clocks:
        for side in sides:
            column = _naive_column(scopes, side)
            if column:
                return (
                    f"now() is compared with {column}, a timestamp without time zone: "
                    "its values are read in the session's TimeZone."
                )
    return ""


def _clock(side: exp.Expr) -> str:
    """Which clock a side reads: "now" with its zone, "local" or "cast" without; "" for none."""
    while isinstance(side, exp.Paren | exp.Add | exp.Sub):
        side = side.this
    if isinstance(side, exp.Localtimestamp):
        return "local"
    if isinstance(side, exp.Cast) and _is_now(side.this):
        return "cast" if side.to.this is exp.DataType.Type.TIMESTAMP else ""
    return "now" if _is_now(side) else ""


def _is_now(node: exp.Expr) -> bool:
    while isinstance(node, exp.Paren | exp.Add | exp.Sub):
        node = node.this
    if isinstance(node, exp.CurrentTimestamp):
        return True
    return isinstance(node, exp.Anonymous) and node.name.lower() in _NOW_CALLS


def _naive_column(scopes: Scopes, side: exp.Expr) -> str:
    """The name of a bare column without time zone, "" if it is none or that is not known."""
    owner = statement_of(side)
    if owner is None or not isinstance(side, exp.Column):
        return ""
    known = scopes.column(side, owner)
    if known is None:
        return ""
    bare = known.type.split("(")[0].strip()
    naive = bare == "timestamp" or (known.type.endswith("without time zone") and "stamp" in bare)
    return known.name if naive else ""


RULE = Rule(
    name="naive-now",
    severity=Severity.WARNING,
    summary="The current time compared with a timestamp without time zone.",
    reason=(
        "A timestamp without time zone is a wall clock's reading, and PostgreSQL takes it for the "
        "session's TimeZone. The same query finds other rows from a session in another zone, and "
        "twice a year an hour is there twice or not at all."
    ),
    remedy=(
        "Store timestamptz. Until then name the zone that the column is kept in, such as "
        "now() AT TIME ZONE 'UTC'."
    ),
    fires="SELECT id FROM events WHERE at < LOCALTIMESTAMP - interval '1 day'",
    passes="SELECT id FROM events WHERE at < now() AT TIME ZONE 'UTC' - interval '1 day'",
    check=_check,
)
