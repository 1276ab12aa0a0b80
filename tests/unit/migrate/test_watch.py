from __future__ import annotations

from typing import Any

import pytest

from dbopt.migrate.progress import Progress
from dbopt.migrate.watch import INTERVAL, must_give_way, whole


def _row(pid: int = 7, **changes: Any) -> dict[str, Any]:
    return {"pid": pid, "waited": 0.0, "blocks": True, "mutual": False, **changes}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (_row(), False),
        (_row(waited=4.0), False),
        (_row(waited=5.0 - INTERVAL), True),
        (_row(waited=60.0, blocks=False), False),
        (_row(mutual=True, blocks=False), True),
    ],
)
def test_it_gives_way_when_somebody_has_waited_as_long_as_anybody_may(
    row: dict[str, Any], expected: bool
) -> None:
    assert must_give_way([row], 5.0, 100.0, {}) is expected


def test_one_of_many_is_enough() -> None:
    assert must_give_way([_row(1), _row(2, waited=9.0)], 5.0, 100.0, {})
    assert not must_give_way([], 5.0, 100.0, {})


def test_an_old_server_does_not_say_since_when() -> None:
    seen: dict[int, float] = {}
    row = _row(waited=None)

    assert [False, False, True] == [
        must_give_way([row], 5.0, now, seen) for now in (100.0, 104.0, 104.9)
    ]


def test_a_partitions_fraction_is_of_the_whole() -> None:
    assert 0.375 == whole(Progress("i", "initializing", 0.5, part=(2, 4))).fraction
    assert 0.5 == whole(Progress("i", "initializing", 0.5)).fraction
