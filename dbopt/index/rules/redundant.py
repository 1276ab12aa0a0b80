"""An index whose keys begin a longer index: the longer one serves its queries too."""

from __future__ import annotations

from collections.abc import Iterator

from dbopt.index.rules.support import drop, evidence
from dbopt.pg.catalog import Catalog, Index
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding, Severity

RULE = "redundant"


def check(catalog: Catalog, settings: IndexSettings) -> Iterator[Finding]:
    """Each index that a longer valid one of the same table covers."""
    for indexes in catalog.indexes_by_table.values():
        for index in indexes:
            if index.valid and not index.protected:
                covering = [other for other in indexes if _covers(other, index)]
                if covering:
                    yield _finding(catalog, index, min(covering, key=_rank))


def _covers(other: Index, index: Index) -> bool:
    return (
        other.oid != index.oid
        and other.valid
        and other.definition.covers(index.definition)
        # Twins are the rule "duplicate"'s; only one of two that cover each other may go.
        and not index.definition.covers(other.definition)
    )


def _rank(index: Index) -> tuple[int, int, str]:
    return (len(index.definition.keys), index.size_bytes, index.name)


def _finding(catalog: Catalog, index: Index, covering: Index) -> Finding:
    return Finding(
        rule=RULE,
        severity=Severity.WARNING,
        object=str(index),
        message=f"{covering.name} begins with the same keys and serves its queries.",
        evidence={
            **evidence(catalog, index),
            "covered_by": str(covering),
            "covered_by_definition": covering.sql,
            "covered_by_size_bytes": covering.size_bytes,
        },
        remedy=drop(index),
    )
