from __future__ import annotations

from dbopt.index.rules.missing_foreign_key_index import check
from dbopt.index.rules.support import index_name, supports_foreign_key
from dbopt.pg.catalog import Catalog
from dbopt.settings import Index as Settings
from tests.unit.index.builders import catalog, foreign_key, index, table


def _objects(snapshot: Catalog) -> list[str]:
    return [finding.object for finding in check(snapshot, Settings())]


def test_none_is_a_finding_with_a_concurrent_remedy() -> None:
    (finding,) = check(catalog(foreign_keys=[foreign_key("a", "b")]), Settings())

    assert finding.object == "s.t(a, b)"
    assert finding.remedy.startswith("CREATE INDEX CONCURRENTLY")
    assert "t_a_b_idx" in finding.remedy


def test_any_order_of_the_leading_columns_serves() -> None:
    snapshot = catalog(indexes=[index("i", "b", "a", "c")], foreign_keys=[foreign_key("a", "b")])

    assert _objects(snapshot) == []


def test_a_column_between_them_does_not() -> None:
    snapshot = catalog(indexes=[index("i", "a", "c", "b")], foreign_keys=[foreign_key("a", "b")])

    assert _objects(snapshot) == ["s.t(a, b)"]


def test_an_invalid_or_partial_one_does_not() -> None:
    for fact in ({"valid": False}, {"predicate": "b > 3"}):
        snapshot = catalog(indexes=[index("i", "a", **fact)], foreign_keys=[foreign_key("a")])
        assert _objects(snapshot) == ["s.t(a)"]


def test_a_small_table_does_not_matter() -> None:
    assert _objects(catalog([table(rows=999)], foreign_keys=[foreign_key("a")])) == []


def test_a_partitioned_table_has_its_partitions_rows_and_no_concurrent_remedy() -> None:
    parts = [table(f"p{n}", oid=n, parent=1, rows=600) for n in (2, 3)]
    snapshot = catalog([table(partitioned=True), *parts], foreign_keys=[foreign_key("a")])

    (finding,) = check(snapshot, Settings())

    assert finding.evidence["rows"] == 1200
    assert "CONCURRENTLY" not in finding.remedy


def test_a_name_is_never_longer_than_postgresql_keeps() -> None:
    name = index_name("t" * 50, ["spalte_ä" * 4])

    assert len(name.encode()) <= 63
    assert name.endswith("_idx")


def test_an_index_in_each_partition_serves_a_partitioned_table() -> None:
    """As it is when they were built concurrently, and not attached."""
    top, *parts = [table(partitioned=True), *(table(f"p{n}", oid=n, parent=1) for n in (2, 3))]
    indexes = [index(f"i{part.oid}", "a", on=part) for part in parts]
    settings = Settings(min_table_rows=0)

    both = catalog([top, *parts], indexes, [foreign_key("a")])
    one = catalog([top, *parts], indexes[:1], [foreign_key("a")])

    assert [] == list(check(both, settings))
    assert ["s.t(a)"] == [finding.object for finding in check(one, settings)]
    assert all(supports_foreign_key(both, one_index) for one_index in indexes)
