"""An index that no query has used costs writes, space and vacuum time for nothing."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.index.rules.support import drop, evidence, supports_foreign_key
from dbopt.pg.catalog import Catalog, Index
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding, Severity

RULE = "unused"
SHORT_WINDOW = 7 * 86400
"""Seconds. Counters younger than a week have not seen the weekly reports."""


def check(catalog: Catalog, settings: IndexSettings) -> Iterator[Finding]:
    """Indexes scanned at most `unused_scans` times, unless something else needs them."""
    if not catalog.counted:
        yield Finding(
            rule=RULE,
            severity=Severity.INFO,
            object="database",
            message="Use of indexes is not counted, so unused ones are not known.",
            remedy="ALTER SYSTEM SET track_counts = on;",
            examined=False,
        )
        return
    for index in catalog.indexes:
        if _unused(catalog, index, settings):
            yield _finding(catalog, index)


def _unused(catalog: Catalog, index: Index, settings: IndexSettings) -> bool:
    return (
        index.scans <= settings.unused_scans
        and index.valid
        and not index.partitioned
        and not index.protected
        and not supports_foreign_key(catalog, index)
    )


def _finding(catalog: Catalog, index: Index) -> Finding:
    short = catalog.stats_age < SHORT_WINDOW
    days = catalog.stats_age / 86400
    note = ", which is too short to be sure" if short else ""
    return Finding(
        rule=RULE,
        severity=Severity.INFO if short else Severity.WARNING,
        object=str(index),
        message=f"Scanned {index.scans} times in {days:.1f} days{note}.",
        evidence={
            **evidence(catalog, index),
            # The planner takes statistics of an expression from its index.
            "expression": any(not key.is_column for key in index.definition.keys),
        },
        remedy=drop(index),
    )
