"""The index audit: every rule over one snapshot of the catalog."""

from __future__ import annotations

from dbopt.index.rules import RULES, duplicate, redundant, unused
from dbopt.pg.catalog import Catalog
from dbopt.settings import Index
from dbopt.sql.findings import Finding, by_importance

# An index that two rules would drop is one finding: that of the surer rule.
_SUREST_FIRST = (duplicate.RULE, redundant.RULE, unused.RULE)


def audit(catalog: Catalog, settings: Index) -> list[Finding]:
    """All findings, the gravest first. Pure: the same catalog gives the same findings."""
    found = [finding for rule in RULES for finding in rule(catalog, settings)]
    return by_importance([f for f in found if not _said_better(f, found)])


def _said_better(finding: Finding, found: list[Finding]) -> bool:
    if finding.rule not in _SUREST_FIRST or not finding.examined:
        return False
    surer = _SUREST_FIRST[: _SUREST_FIRST.index(finding.rule)]
    return any(f.object == finding.object and f.rule in surer for f in found)
