"""An invalid index serves no query and costs every write; a unique one still refuses rows."""

from __future__ import annotations

import re
from collections.abc import Iterator

from dbopt.index.rules.support import drop, evidence, quoted
from dbopt.pg.catalog import Catalog, Index
from dbopt.settings import Index as IndexSettings
from dbopt.sql.findings import Finding, Severity

RULE = "invalid"
_REMAINS = re.compile(r"_cc(new|old)\d*\Z")
"""What REINDEX CONCURRENTLY leaves behind when it fails (docs: REINDEX)."""


def check(catalog: Catalog, settings: IndexSettings) -> Iterator[Finding]:
    """Invalid indexes, except one that is being built."""
    for index in catalog.indexes:
        if index.valid or index.builder_pid is not None:
            continue
        if catalog.sees_builds:
            yield _finding(catalog, index)
        else:
            yield _not_examined(index)


def _finding(catalog: Catalog, index: Index) -> Finding:
    return Finding(
        rule=RULE,
        severity=Severity.CRITICAL,
        object=str(index),
        message=_message(index),
        evidence={**evidence(catalog, index), "ready": index.ready},
        remedy=_remedy(index),
    )


def _message(index: Index) -> str:
    if index.partitioned:
        return "Is invalid: not every partition has an index attached to it."
    cost = "and still costs every write" if index.ready else "and was never finished"
    return f"Is invalid: its build failed. No query uses it, {cost}."


def _remedy(index: Index) -> str:
    if index.partitioned:
        return ""
    if _REMAINS.search(index.name):
        return drop(index)
    return f"REINDEX INDEX CONCURRENTLY {quoted(index.definition.schema, index.name)};"


def _not_examined(index: Index) -> Finding:
    return Finding(
        rule=RULE,
        severity=Severity.INFO,
        object=str(index),
        message="Is invalid or being built: this role may not see which.",
        remedy="GRANT pg_read_all_stats TO CURRENT_USER; -- by a superuser, to dbopt's role",
        examined=False,
    )
