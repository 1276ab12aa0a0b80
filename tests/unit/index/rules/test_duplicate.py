from __future__ import annotations

from dbopt.index.rules.duplicate import check
from dbopt.pg.catalog import Index
from dbopt.settings import Index as Settings
from tests.unit.index.builders import catalog, index, table


def _dropped(*indexes: Index) -> list[tuple[str, str]]:
    found = check(catalog(indexes=list(indexes)), Settings())
    return [(finding.object, finding.evidence["twin"]) for finding in found]


def test_of_equals_the_first_by_name_is_kept() -> None:
    assert _dropped(index("b", "a"), index("a", "a"), index("c", "a")) == [
        ("s.b", "s.a"),
        ("s.c", "s.a"),
    ]


def test_the_more_used_is_kept() -> None:
    assert _dropped(index("a", "a"), index("b", "a", scans=4)) == [("s.a", "s.b")]


def test_a_constraint_is_kept_however_little_it_is_used() -> None:
    constraint = index("z", "a", unique=True, constraint="u")

    assert _dropped(index("a", "a", unique=True, scans=9), constraint) == [("s.a", "s.z")]


def test_two_constraints_both_stay() -> None:
    assert _dropped(*(index(n, "a", unique=True, constraint="u") for n in "ab")) == []


def test_invalid_ones_and_other_tables_are_no_twins() -> None:
    other = table("other", oid=2)

    assert _dropped(index("a", "a"), index("b", "a", valid=False), index("c", "a", on=other)) == []


def test_a_deferrable_constraint_is_no_twin_of_what_is_checked_at_once() -> None:
    deferrable = index("z", "a", unique=True, constraint="u", deferrable=True)

    assert _dropped(index("a", "a", unique=True), deferrable) == []


def test_a_partitioned_index_is_dropped_as_postgresql_can() -> None:
    indexes = [index("a", "a", partitioned=True), index("b", "a", partitioned=True)]

    found = check(catalog(indexes=indexes), Settings())

    assert [finding.remedy for finding in found] == ["DROP INDEX s.b;"]
