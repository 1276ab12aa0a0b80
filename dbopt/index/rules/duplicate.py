"""Two indexes of one meaning: every write pays for both, queries use one."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.index.rules.support import drop, evidence
from dbopt.pg.catalog import Catalog, Index
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding, Severity

RULE = "duplicate"


def check(catalog: Catalog, settings: IndexSettings) -> Iterator[Finding]:
    """Each index that has a twin which is kept."""
    for indexes in catalog.indexes_by_table.values():
        for group in _groups([index for index in indexes if index.valid]):
            kept, *others = sorted(group, key=_rank)
            for index in others:
                if not needed(index):
                    yield _finding(catalog, index, kept)


def needed(index: Index) -> bool:
    """Whether more than its meaning hangs on it; uniqueness is meaning, and the twin has it."""
    return bool(
        index.constraint
        or index.replica_identity
        or index.fk_target
        or index.extension
        or index.parent is not None
    )


def _groups(indexes: list[Index]) -> Iterator[list[Index]]:
    while indexes:
        first = indexes[0]
        same = [index for index in indexes if _twins(first, index)]
        indexes = [index for index in indexes if index not in same]
        yield same


def _twins(one: Index, other: Index) -> bool:
    # A deferrable constraint lets duplicates be until the end, and serves no ON CONFLICT.
    return one.definition.same_as(other.definition) and one.deferrable == other.deferrable


def _rank(index: Index) -> tuple[bool, int, str]:
    """The first is kept: a needed one, then the more used, then by name."""
    return (not needed(index), -index.scans, index.name)


def _finding(catalog: Catalog, index: Index, kept: Index) -> Finding:
    return Finding(
        rule=RULE,
        severity=Severity.WARNING,
        object=str(index),
        message=f"Is the same as {kept.name}.",
        evidence={**evidence(catalog, index), "twin": str(kept), "twin_scans": kept.scans},
        remedy=drop(index),
    )
