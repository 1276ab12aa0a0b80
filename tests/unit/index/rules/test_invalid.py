from __future__ import annotations

from dbopt.index.rules.invalid import check
from dbopt.settings import Index as Settings
from dbopt.sql.findings import Severity
from tests.unit.index.builders import catalog, index


def test_an_invalid_one_is_rebuilt() -> None:
    (finding,) = check(catalog(indexes=[index("broken", "a", valid=False)]), Settings())

    assert finding.severity is Severity.CRITICAL
    assert finding.remedy == "REINDEX INDEX CONCURRENTLY s.broken;"


def test_what_a_reindex_left_is_dropped() -> None:
    (finding,) = check(catalog(indexes=[index("i_ccnew1", "a", valid=False)]), Settings())

    assert finding.remedy == "DROP INDEX CONCURRENTLY s.i_ccnew1;"


def test_one_being_built_is_no_finding() -> None:
    building = index("young", "a", valid=False, builder_pid=42)

    assert list(check(catalog(indexes=[building]), Settings())) == []


def test_a_partitioned_one_lacks_a_partitions() -> None:
    (finding,) = check(
        catalog(indexes=[index("p", "a", valid=False, partitioned=True)]), Settings()
    )

    assert "not every partition" in finding.message


def test_a_role_that_sees_no_builds_cannot_tell() -> None:
    snapshot = catalog(indexes=[index("x", "a", valid=False)], sees_builds=False)

    (finding,) = check(snapshot, Settings())

    assert not finding.examined
