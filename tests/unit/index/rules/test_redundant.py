from __future__ import annotations

import pytest

from dbopt.index.rules.redundant import check
from dbopt.pg.catalog import Index
from dbopt.settings import Index as Settings
from tests.unit.index.builders import catalog, index


def _dropped(*indexes: Index) -> list[tuple[str, str]]:
    found = check(catalog(indexes=list(indexes)), Settings())
    return [(finding.object, finding.evidence["covered_by"]) for finding in found]


def test_the_shortest_that_covers_is_named() -> None:
    short, middle, long = index("x", "a"), index("y", "a", "b"), index("z", "a", "b", "c")

    assert _dropped(short, middle, long) == [("s.x", "s.y"), ("s.y", "s.z")]


def test_only_a_prefix_is_covered() -> None:
    assert _dropped(index("x", "b"), index("y", "a", "b")) == []


@pytest.mark.parametrize(
    "fact", [{"unique": True}, {"constraint": "p"}, {"replica_identity": True}]
)
def test_a_needed_one_stays(fact: dict[str, object]) -> None:
    assert _dropped(index("x", "a", **fact), index("y", "a", "b")) == []


def test_an_invalid_one_covers_nothing() -> None:
    assert _dropped(index("x", "a"), index("y", "a", "b", valid=False)) == []


def test_twins_are_another_rules() -> None:
    assert _dropped(index("x", "a"), index("y", "a")) == []
