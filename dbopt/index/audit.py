"""The index audit: every rule over one snapshot of the catalog."""

from __future__ import annotations

from dbopt.index.rules import RULES, duplicate, redundant, unused
from dbopt.pg.catalog import Catalog
from dbopt.settings import Index
from dbopt.sql.findings import Finding, by_importance

# An index that two rules would drop is one finding: that of the surer rule.
_SUREST_FIRST = (duplicate.RULE, redundant.RULE, unused.RULE)
_KEPT = ("twin", "covered_by")
"""Evidence that names an index that takes over from another."""


def audit(catalog: Catalog, settings: Index) -> list[Finding]:
    """All findings, the gravest first. Pure: the same catalog gives the same findings."""
    found = [finding for rule in RULES for finding in rule(catalog, settings)]
    said = {(f.rule, f.object) for f in found}
    used = [f for f in found if f.evidence.get("scans", 0) > settings.unused_scans]
    kept = {f.evidence[name] for f in used for name in _KEPT if name in f.evidence}
    return by_importance([f for f in found if not (_said_better(f, said) or _needed(f, kept))])


def _said_better(finding: Finding, said: set[tuple[str, str]]) -> bool:
    if finding.rule not in _SUREST_FIRST or not finding.examined:
        return False
    surer = _SUREST_FIRST[: _SUREST_FIRST.index(finding.rule)]
    return any((rule, finding.object) in said for rule in surer)


def _needed(finding: Finding, kept: set[str]) -> bool:
    """Whether it would drop, as unused, what takes over from one that is used."""
    return finding.rule == unused.RULE and finding.object in kept
