from __future__ import annotations

import pytest

from dbopt.index.rules.unused import check
from dbopt.settings import Index as Settings
from dbopt.sql.findings import Severity
from dbopt.sql.indexdef import IndexKey
from tests.unit.index.builders import catalog, foreign_key, index


def test_a_month_without_a_scan_is_a_warning() -> None:
    (finding,) = check(catalog(indexes=[index("idle", "a", size_bytes=8192)]), Settings())

    assert (finding.object, finding.severity) == ("s.idle", Severity.WARNING)
    assert finding.message == "Scanned 0 times in 30.0 days."
    assert finding.evidence["stats_age_s"] == 30 * 86400
    assert finding.remedy == "DROP INDEX CONCURRENTLY s.idle;"


def test_a_day_is_too_short_to_be_sure() -> None:
    (finding,) = check(catalog(indexes=[index("idle", "a")], days=1), Settings())

    assert finding.severity is Severity.INFO
    assert "too short" in finding.message


def test_the_limit_is_configured() -> None:
    few = catalog(indexes=[index("few", "a", scans=3)])

    assert list(check(few, Settings())) == []
    assert len(list(check(few, Settings(unused_scans=3)))) == 1


@pytest.mark.parametrize(
    "fact",
    [
        {"constraint": "p"},
        {"constraint": "x"},
        {"replica_identity": True},
        {"fk_target": True},
        {"extension": True},
        {"unique": True},
        {"parent": 5},
        {"partitioned": True},
        {"valid": False},
    ],
)
def test_what_something_else_needs_is_left(fact: dict[str, object]) -> None:
    assert list(check(catalog(indexes=[index("needed", "a", **fact)]), Settings())) == []


def test_what_supports_a_foreign_key_is_left() -> None:
    snapshot = catalog(indexes=[index("i", "a", "b")], foreign_keys=[foreign_key("a")])

    assert list(check(snapshot, Settings())) == []


def test_an_expression_feeds_the_planner_and_is_marked() -> None:
    keys = (IndexKey("lower(a)", is_column=False),)
    (finding,) = check(catalog(indexes=[index("e", keys=keys)]), Settings())

    assert finding.evidence["expression"] is True


def test_without_counters_nothing_is_called_unused() -> None:
    (finding,) = check(catalog(indexes=[index("idle", "a")], counted=False), Settings())

    assert not finding.examined
    assert "track_counts" in finding.remedy
