from __future__ import annotations

from typing import Any

import pytest

from dbopt.migrate.progress import Progress
from dbopt.migrate.watch import INTERVAL, MOMENT, must_give_way, whole


def _row(pid: int = 7, **changes: Any) -> dict[str, Any]:
    return {"pid": pid, "waited": 0.0, "blocks": True, "mutual": False, **changes}


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (_row(), False),
        (_row(waited=MOMENT - INTERVAL - 0.01), False),
        (_row(waited=MOMENT - INTERVAL), True),
        (_row(waited=60.0, blocks=False), False),
        (_row(mutual=True, blocks=False), True),
    ],
)
def test_it_gives_way_when_somebody_has_waited_as_long_as_anybody_may(
    row: dict[str, Any], expected: bool
) -> None:
    assert must_give_way([row], 5.0, 100.0, {}) == (row if expected else None)


def test_where_lock_timeout_is_short_half_of_it_is_enough() -> None:
    assert must_give_way([_row(waited=0.25)], 1.0, 100.0, {}) is None
    assert must_give_way([_row(waited=0.3)], 1.0, 100.0, {}) is not None


def test_one_of_many_is_enough() -> None:
    assert must_give_way([_row(1), late := _row(2, waited=9.0)], 5.0, 100.0, {}) is late
    assert not must_give_way([], 5.0, 100.0, {})


def test_an_old_server_does_not_say_since_when() -> None:
    seen: dict[int, float] = {}
    row = _row(waited=None)

    assert [None, None, row] == [
        must_give_way([row], 5.0, now, seen) for now in (100.0, 100.7, 100.9)
    ]


def test_a_partitions_fraction_is_of_the_whole() -> None:
    assert 0.375 == whole(Progress("i", "initializing", 0.5, part=(2, 4))).fraction
    assert 0.5 == whole(Progress("i", "initializing", 0.5)).fraction
