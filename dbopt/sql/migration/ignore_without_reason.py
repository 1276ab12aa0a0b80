"""A marker that takes findings back and does not say why."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator

from dbopt.sql.ddl.elements import Span
from dbopt.sql.findings import Severity
from dbopt.sql.migration.context import Migration
from dbopt.sql.migration.support import Group, Match, Rule
from dbopt.sql.suppress import markers


def _check(migration: Migration) -> Iterator[Match]:
    if not migration.placed:
        return
    starts = [subject.start for subject in migration.placed]
    for marker in markers(migration.text):
        if not marker.reason:
            following = min(bisect_left(starts, marker.start), len(starts) - 1)
            rules = ", ".join(sorted(marker.rules))
            yield Match(
                migration.placed[following],
                f"{rules} is ignored here, and nobody says why.",
                Span(marker.start, marker.end),
            )


RULE = Rule(
    name="ignore-without-reason",
    severity=Severity.INFO,
    group=Group.ROBUSTNESS,
    summary="A dbopt:ignore marker without a reason.",
    reason="Whoever reads it later cannot tell whether the reason still holds.",
    remedy="Write the reason behind the rule: `-- dbopt:ignore RULE the table is empty`.",
    fires="-- dbopt:ignore ban-drop-table\nDROP TABLE IF EXISTS old_events",
    passes="-- dbopt:ignore ban-drop-table nobody reads it\nDROP TABLE IF EXISTS old_events",
    check_migration=_check,
)
